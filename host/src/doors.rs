//! Opens the control socket and the address of `--admin`, at which the API is served.

use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::net::UnixListener;

use anyhow::Context;
use tracing::warn;

use crate::admin::api::{Api, Lifecycle};
use crate::admin::listener::{self, Door};
use crate::admin::place::{self, Bound};
use crate::admin::token::Token;
use crate::cli::serve::Serve;
use crate::net::listen;
use crate::net::listener::Listener;
use crate::upgrade::handover::Held;

/// Flag for the TCP address of the API.
const ADMIN: &str = "--admin";

/// Bound sockets of the API: the control socket, and the address of `--admin`.
pub struct Doors {
    doors: Vec<Door>,
    /// Bound control socket, which is removed on drop.
    pub bound: Option<Bound>,
    /// Path of the control socket; the text `none` if there is none.
    pub control: String,
    /// URLs of the API at the address of `--admin`; empty without the flag.
    pub admin: Vec<String>,
}

/// Binds the control socket and the address of `--admin`. Also returns what an upgrade hands over
/// to the new process: these sockets, those of `listeners`, and the lock of the control socket.
///
/// # Errors
///
/// One line that names the path, the address or the file that cannot be used, and why.
pub fn bind(args: &Serve, listeners: &[Listener]) -> anyhow::Result<(Doors, Held)> {
    let mut held = Held::default();
    let mut doors = Doors { doors: Vec::new(), bound: None, control: "none".into(), admin: Vec::new() };
    for listener in listeners {
        held.sockets.push((listener.name.clone(), listener.descriptor()?));
    }
    if let Some((listener, bound)) = bind_control(args, listeners)? {
        // A client may be in another folder than the server.
        let path = std::path::absolute(bound.path()).unwrap_or_else(|_| bound.path().into());
        doors.control = path.display().to_string();
        held.sockets.push((bound.name(), listener.as_fd().try_clone_to_owned()?));
        held.control = bound.held_lock().map(File::try_clone).transpose()?;
        doors.doors.push(Door::Unix { listener, has_group: bound.has_group() });
        doors.bound = Some(bound);
    }
    if let (Some(address), Some(token)) = (&args.swap.admin, &args.swap.admin_token) {
        let token = Token::new(token)?;
        for listener in listen::bind_tcp(address, ADMIN)? {
            doors.admin.push(format!("http://{}", listener.local_addr()?));
            held.sockets.push((listen::name(ADMIN, address), listener.as_fd().try_clone_to_owned()?));
            doors.doors.push(Door::Tcp { listener, token: token.clone() });
        }
    }
    Ok((doors, held))
}

impl Doors {
    /// Starts to serve the API. Does nothing if no socket is bound.
    ///
    /// # Errors
    ///
    /// When the thread that serves the API cannot be started.
    pub fn open<C: Lifecycle + 'static>(&mut self, api: Api<C>) -> anyhow::Result<()> {
        let doors = std::mem::take(&mut self.doors);
        if doors.is_empty() {
            return Ok(());
        }
        listener::start(doors, api).context("cannot start the control thread")
    }
}

/// Binds the control socket. Returns [`None`] with `--no-control`, or if the default socket cannot
/// be bound and `--control-group` is not given.
fn bind_control(args: &Serve, listeners: &[Listener]) -> anyhow::Result<Option<(UnixListener, Bound)>> {
    let group = args.swap.control_group.as_ref();
    let (listener, bound) = match &args.swap.control {
        _ if args.swap.no_control => return Ok(None),
        Some(path) => place::bind(path, group)?,
        None => {
            let port = listeners.iter().find_map(Listener::port).unwrap_or(0);
            match place::bind(&place::default_path(port), group) {
                Ok(bound) => bound,
                Err(error) if group.is_some() => return Err(error),
                // The default socket is optional, so the server starts without it.
                Err(error) => {
                    warn!("the server takes no commands: {error:#}");
                    return Ok(None);
                }
            }
        }
    };
    if let Some(group) = group
        && let Some((folder, mode)) = place::closed_folder(bound.path(), group.id)
    {
        let (given, folder) = (&group.given, folder.display());
        warn!(
            "the group {given} cannot send commands, because it may not enter the folder {folder} (mode {mode:04o}); \
             give a socket in a folder that the group may enter: --control PATH"
        );
    }
    Ok(Some((listener, bound)))
}
