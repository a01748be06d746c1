//! The part of an upgrade that runs in the new process: receives the sockets, the locks and the
//! versions of the old process, and waits until it may serve.

use std::collections::{BTreeMap, HashMap};
use std::env;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use rustix::fs::{Mode, OFlags};
use rustix::net::sockopt::socket_peercred;
use rustix::process::{Pid, getppid};
use tracing::{info, warn};

use crate::files::own_file;
use crate::net::{handed, listener};
use crate::site::handed::Handed;
use crate::upgrade::wire::{self, Message};

/// Environment variable with the id of the old process. Its name does not begin with `HOST_`, so it
/// is not read as a setting.
pub(super) const VARIABLE: &str = "_HOST_REPLACES";

/// Maximum size in bytes of a module that is taken over. `--module-max` does not apply, because it
/// may have been lowered below the size of a module that serves.
const MODULE_MAX: usize = 1 << 30;

/// Connection to the old process, and what the old process has sent.
pub struct Takeover {
    old: UnixStream,
    process: u32,
    /// Path of the configuration file of the old process, if it has one.
    configuration: Option<String>,
    has_state_dir: bool,
    /// Versions of each site, by the name of the site.
    pub sites: BTreeMap<String, Handed>,
}

/// Receives the sockets, locks and versions from the old process. Returns [`None`] if this process
/// was not started by an upgrade.
///
/// # Errors
///
/// When the old process has ended or has cancelled the upgrade.
pub fn receive() -> anyhow::Result<Option<Takeover>> {
    let Some(old) = old_process()? else { return Ok(None) };
    let process = getppid().map_or(0, |pid| pid.as_raw_nonzero().get() as u32);
    let mut takeover =
        Takeover { old, process, configuration: None, has_state_dir: false, sites: BTreeMap::new() };
    takeover.receive_all().with_context(|| lost(process))?;
    // Until this process serves.
    listener::leave_paths(true);
    Ok(Some(takeover))
}

/// Tells the old process why the new process cannot serve.
pub fn failed(old: &UnixStream, cause: &str) {
    // An old process that has ended needs no cause.
    let _ = wire::send(old, &Message::Failed { cause: cause.to_owned() });
}

/// Returns the connection to the old process, which is the parent of this process. Takes it from
/// standard input, which becomes `/dev/null`. Returns [`None`] if this process was not started by
/// an upgrade.
fn old_process() -> anyhow::Result<Option<UnixStream>> {
    let named = env::var(VARIABLE).ok().and_then(|text| text.parse().ok()).and_then(Pid::from_raw);
    let stdin = io::stdin();
    // The variable alone may be left from the start of another program.
    let is_socket =
        |named: Pid| getppid() == Some(named) && socket_peercred(&stdin).is_ok_and(|peer| peer.pid == named);
    if !named.is_some_and(is_socket) {
        return Ok(None);
    }
    let socket = stdin.as_fd().try_clone_to_owned()?;
    let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
    rustix::stdio::dup2_stdin(nothing)?;
    Ok(Some(socket.into()))
}

fn lost(process: u32) -> String {
    format!("cannot take the place of process {process}, which has ended or given this upgrade up")
}

impl Takeover {
    fn receive_all(&mut self) -> io::Result<()> {
        let (mut states, mut modules) = (Vec::new(), HashMap::<String, Arc<[u8]>>::new());
        loop {
            match wire::receive(&self.old)? {
                Message::Socket { name } => handed::put(name, wire::receive_descriptor(&self.old)?),
                Message::Lock => own_file::hand(File::from(wire::receive_descriptor(&self.old)?)),
                Message::Site { name, state } => states.push((name, state)),
                Message::Module { sha256, length } => {
                    let bytes = wire::receive_bytes(&self.old, length, MODULE_MAX)?;
                    modules.insert(sha256, bytes.into());
                }
                Message::Complete { configuration, has_state_dir } => {
                    (self.configuration, self.has_state_dir) = (configuration, has_state_dir);
                    break;
                }
                message => return Err(unexpected(&message)),
            }
        }
        let sites = states.into_iter().map(|(name, state)| (name, Handed::new(*state, &modules)));
        self.sites = sites.collect();
        Ok(())
    }

    /// Returns a second handle to the connection to the old process, for [`failed`].
    pub fn connection(&self) -> Option<UnixStream> {
        self.old.try_clone().ok()
    }

    /// Checks that this process has found the configuration file of the old process. Also checks
    /// that the state folder still exists, because a missing one would be created empty.
    ///
    /// # Errors
    ///
    /// One line that says which of the two is missing.
    pub fn expect_files(&self, found: Option<&Path>, state_dir: Option<&Path>) -> anyhow::Result<()> {
        let found = found.map(|path| path.to_string_lossy().into_owned());
        if let Some(file) = &self.configuration
            && found.as_ref() != Some(file)
        {
            let found = found.as_deref().unwrap_or("none");
            bail!(
                "the configuration file {file} is gone, from which the server was configured (found: {found}); put it \
                 back, or restart the server"
            );
        }
        if let Some(folder) = state_dir.filter(|folder| self.has_state_dir && !folder.exists()) {
            let folder = folder.display();
            bail!(
                "the state folder {folder} of the server is gone (--state-dir); put it back, or restart the server"
            );
        }
        Ok(())
    }

    /// Tells the old process that this one can serve, and waits for permission to serve.
    ///
    /// # Errors
    ///
    /// When the old process has ended or has cancelled the upgrade.
    pub fn ready(&self) -> anyhow::Result<()> {
        self.say(&Message::Ready, &Message::Go)
    }

    /// Tells the old process that this process serves, and waits for its confirmation. Then closes
    /// the sockets and releases the locks that were handed over but are not used any more.
    ///
    /// # Errors
    ///
    /// When the old process has ended or has cancelled the upgrade.
    pub fn serving(&self) -> anyhow::Result<()> {
        self.say(&Message::Serving, &Message::Main)?;
        listener::leave_paths(false);
        // What the configuration does not name any more.
        let ended = handed::close_rest();
        if !ended.is_empty() {
            let names = ended.join(", ");
            warn!(names, "sockets are closed that the configuration has no more");
        }
        own_file::release_rest();
        info!(process = self.process, "took the place of the server before, which answers its last requests");
        Ok(())
    }

    fn say(&self, message: &Message, expected: &Message) -> anyhow::Result<()> {
        let told = wire::send(&self.old, message).and_then(|()| wire::receive(&self.old));
        let told = told.with_context(|| lost(self.process))?;
        if std::mem::discriminant(&told) != std::mem::discriminant(expected) {
            bail!(unexpected(&told));
        }
        Ok(())
    }
}

fn unexpected(message: &Message) -> io::Error {
    io::Error::other(format!("the server before sent an unexpected message: {message:?}"))
}
