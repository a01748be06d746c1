//! Binds the listeners of the server. Also uses sockets that the parent process has bound, and
//! sockets that the previous process has handed over during an upgrade.

use std::env;
use std::fs;
use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;

use anyhow::{Context, anyhow, bail};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Type};

use crate::net::address::{self, DEFAULT, resolve, split_options};
use crate::net::handed;
use crate::net::listener::{Listener, Speaks, UNIX};
use crate::net::unix_socket::{self, BACKLOG};

/// Environment variable with the number of sockets that the parent process has bound. An upgrade
/// hands these sockets over under this name.
const PASSED: &str = "LISTEN_FDS";

/// Name of the flag for the addresses to listen on.
const FLAG: &str = "--listen";

/// Maximum number of attempts to find a port that is free on all IP addresses of a host name.
/// Applies to port 0 only.
const ATTEMPTS: u32 = 16;

/// Returns whether the process has got sockets from its parent process, or from the previous process
/// of an upgrade.
pub fn is_passed() -> bool {
    env::var_os(PASSED).is_some_and(|count| !count.is_empty()) || handed::has(PASSED)
}

/// Returns whether no connection can use TLS: addresses are given, none of them speaks TLS, and no
/// socket is passed.
pub fn speaks_no_tls(addresses: &[String]) -> bool {
    !addresses.is_empty() && !addresses.iter().any(|address| address::speaks_tls(address)) && !is_passed()
}

/// Returns a message if an address has the option `redirect`, and no address speaks TLS. What speaks
/// TLS among sockets that are passed is known only after [`bind`].
pub fn leads_nowhere(addresses: &[String]) -> Option<String> {
    let address = addresses.iter().find(|address| address::redirects(address));
    address.filter(|_| speaks_no_tls(addresses)).map(|address| address::lacks_tls(address))
}

/// Checks that the TCP addresses can be bound, by binding and closing them, so that the caller can
/// fail before it starts slow work. Only [`bind`] checks Unix sockets and the sockets of the parent
/// process.
///
/// # Errors
///
/// One line that names the address that cannot be bound, and why.
pub fn try_out(addresses: &[String]) -> anyhow::Result<()> {
    let default = [DEFAULT.to_owned()];
    let addresses = if addresses.is_empty() && !is_passed() { &default } else { addresses };
    addresses
        .iter()
        .filter(|address| !address.starts_with(UNIX))
        .try_for_each(|name| bind_tcp(split_options(name)?.0, FLAG).map(drop))
}

/// Returns listeners for the sockets in LISTEN_FDS and for all addresses. Binds an address, or uses
/// its socket if the previous process has handed it over. Without addresses and LISTEN_FDS, binds
/// the default address. `is_tls` says whether listeners without a protocol option use TLS.
///
/// # Errors
///
/// One line that names the address that cannot be bound, and why.
pub fn bind(addresses: &[String], is_tls: bool) -> anyhow::Result<Vec<Listener>> {
    let usual = if is_tls { Speaks::Tls } else { Speaks::Plain };
    let mut listeners = inherited(usual).context("cannot use the sockets passed in LISTEN_FDS")?;
    let default = [DEFAULT.to_owned()];
    let addresses = if addresses.is_empty() && listeners.is_empty() { &default } else { addresses };
    for address in addresses {
        let context = || format!("cannot listen on {address}");
        match address.strip_prefix(UNIX) {
            Some(path) => listeners.push(bind_path(path, name(FLAG, address)).with_context(context)?),
            None => {
                let (place, speaks, has_header) = split_options(address).with_context(context)?;
                for listener in bind_name(place, FLAG).with_context(context)? {
                    let listener = Listener::tcp(name(FLAG, place), listener, speaks.unwrap_or(usual))?;
                    listeners.push(listener.with_header(has_header));
                }
            }
        }
    }
    // The sockets of the parent process are known only now.
    if let Some(address) = addresses.iter().find(|address| address::redirects(address))
        && !listeners.iter().any(Listener::is_tls)
    {
        bail!("{}", address::lacks_tls(address));
    }
    Ok(listeners)
}

/// Returns the name under which an upgrade hands over the socket of an address: flag, space,
/// address.
pub fn name(flag: &str, address: &str) -> String {
    format!("{flag} {address}")
}

/// Returns the sockets that systemd or another parent process has bound for this process
/// (sd_listen_fds(3)). After an upgrade, the previous process has handed them over. TCP sockets use
/// the protocol `usual`.
fn inherited(usual: Speaks) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = Vec::new();
    for socket in handed::take(PASSED) {
        let socket = socket2::Socket::from(socket);
        listeners.push(match socket.domain()? {
            Domain::UNIX => Listener::unix(PASSED.into(), socket.into(), None)?,
            _ => Listener::tcp(PASSED.into(), socket.into(), usual)?,
        });
    }
    if !listeners.is_empty() {
        return Ok(listeners);
    }
    check_environment()?;
    let mut inherited_fds = ListenFd::from_env();
    for index in 0..inherited_fds.len() {
        if let Ok(Some(listener)) = inherited_fds.take_tcp_listener(index) {
            listeners.push(Listener::tcp(PASSED.into(), listener, usual)?);
            continue;
        }
        let unix = inherited_fds.take_unix_listener(index).with_context(|| format!("socket {index}"))?;
        if let Some(listener) = unix {
            listeners.push(Listener::unix(PASSED.into(), listener, None)?);
        }
    }
    Ok(listeners)
}

/// Returns an error if LISTEN_FDS or LISTEN_PID is malformed. Otherwise the sockets of the parent
/// process would be ignored silently.
fn check_environment() -> anyhow::Result<()> {
    for (name, meaning) in [(PASSED, "the number of sockets"), ("LISTEN_PID", "a process id")] {
        let Some(found) = env::var_os(name).filter(|found| !found.is_empty()) else {
            continue;
        };
        if found.to_str().and_then(|found| found.parse::<u32>().ok()).is_none() {
            let found = found.display();
            bail!("{name} is `{found}`; expected {meaning}, or a process without this variable");
        }
    }
    Ok(())
}

/// Binds `HOST:PORT` on all IP addresses of the host. `flag` is the flag with this address, for
/// messages and upgrades.
///
/// # Errors
///
/// One line that names the address that cannot be bound, and why.
pub fn bind_tcp(address: &str, flag: &str) -> anyhow::Result<Vec<TcpListener>> {
    let listeners = bind_name(address, flag).with_context(|| format!("cannot listen on {address}"))?;
    for listener in &listeners {
        listener.set_nonblocking(true)?;
    }
    Ok(listeners)
}

/// Binds a Unix socket, or uses the one that the previous process has handed over. Replaces a
/// socket file on which no process listens.
fn bind_path(address: &str, name: String) -> anyhow::Result<Listener> {
    let (path, access, has_header) = unix_socket::parse(address)?;
    let path = path.as_path();
    // Somebody may have removed the path.
    if let Some(socket) = handed::take(&name).pop().filter(|_| path.exists()) {
        unix_socket::give_access(path, &access)?;
        return Ok(Listener::unix(name, socket.into(), Some(path))?.with_header(has_header));
    }
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            Err(error) => {
                return Err(error).context("cannot tell whether another process listens on this socket");
            }
            Ok(_) => bail!("another process listens on this socket; stop it, or use another path"),
        }
    }
    let listener = unix_socket::bind(path, &access)?;
    Ok(Listener::unix(name, listener, Some(path))?.with_header(has_header))
}

/// Binds one `HOST:PORT`, or uses its sockets if the previous process has handed them over. All IP
/// addresses of a host get the same port. Port 0 selects a port that is free on all of them.
fn bind_name(address: &str, flag: &str) -> anyhow::Result<Vec<TcpListener>> {
    let handed = handed::take(&name(flag, address));
    if !handed.is_empty() {
        return Ok(handed.into_iter().map(TcpListener::from).collect());
    }
    let addresses = resolve(address)?;
    let any_port = addresses.iter().all(|address| address.port() == 0);
    let mut attempts = if any_port && addresses.len() > 1 { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_all(&addresses) {
            Err((_, error)) if error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
            Err((bound, error)) => return Err(explain(bound, &error, flag)),
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// Binds those of `addresses` that this machine has. Returns an error with the address if the
/// machine has none of them, or if one cannot be bound for another reason.
fn bind_all(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, (SocketAddr, io::Error)> {
    let mut listeners: Vec<TcpListener> = Vec::new();
    let mut unavailable = None;
    for address in addresses {
        let mut address = *address;
        if let (0, Some(first)) =
            (address.port(), listeners.first().and_then(|first| first.local_addr().ok()))
        {
            address.set_port(first.port());
        }
        match bind_one(address) {
            Ok(listener) => listeners.push(listener),
            // Skips an address that this machine does not have: a name may have an IPv6
            // address, and many machines have no IPv6.
            Err(error) if is_unavailable(&error) => unavailable = Some((address, error)),
            Err(error) => return Err((address, error)),
        }
    }
    match unavailable {
        Some(error) if listeners.is_empty() => Err(error),
        _ => Ok(listeners),
    }
}

fn bind_one(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = socket2::Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Lets a restarted server bind its port while old connections are still in
    // TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // Allows listening on `[::]:80` and `0.0.0.0:80` at the same time.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn is_unavailable(error: &io::Error) -> bool {
    let no_such_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_such_family)
}

fn explain(address: SocketAddr, error: &io::Error, flag: &str) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "another program listens on {address}, or this server does already; stop that program, or choose another \
             address ({flag})"
        ),
        ErrorKind::PermissionDenied => {
            anyhow!("permission denied for {address} (ports below 1024 need CAP_NET_BIND_SERVICE or root)")
        }
        ErrorKind::AddrNotAvailable => anyhow!("this machine does not have the address {}", address.ip()),
        _ => anyhow!("{address}: {error}"),
    }
}
