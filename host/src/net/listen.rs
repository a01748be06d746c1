//! Where the server listens: from the text of an address to bound sockets, or
//! sockets that were bound by whoever started it.

use std::fs;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, ToSocketAddrs};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;

use anyhow::{Context, anyhow, bail};
use listenfd::ListenFd;
use socket2::{Domain, Protocol, Type};

use crate::net::listener::{Listener, Made, UNIX};

/// What is listened on when nothing was said.
const DEFAULT: &str = "localhost:4444";

/// Connections that may wait to be accepted. The kernel takes its own bound
/// (net.core.somaxconn, usually 4096) where that is smaller.
pub(crate) const BACKLOG: i32 = 4096;

/// How often a free port is looked for that all addresses of a name can share,
/// when the port asked for is 0.
const ATTEMPTS: u32 = 16;

/// Takes the sockets that were handed over, and binds every address given. All
/// of them are bound when this returns.
///
/// # Errors
///
/// One line: which address, and why it cannot be had.
pub fn bind(addresses: &[String]) -> anyhow::Result<Vec<Listener>> {
    let mut listeners = handed_over().context("cannot use the sockets that were handed over (LISTEN_FDS)")?;
    let default = [DEFAULT.to_owned()];
    let addresses = if addresses.is_empty() && listeners.is_empty() { &default } else { addresses };
    for address in addresses {
        let context = || format!("cannot listen on {address}");
        match address.strip_prefix(UNIX) {
            Some(path) => listeners.push(bind_path(Path::new(path)).with_context(context)?),
            None => {
                listeners.extend(bind_name(address).with_context(context)?.into_iter().map(Listener::Tcp))
            }
        }
    }
    Ok(listeners)
}

/// The sockets that systemd, or who does as it does, has bound for this process:
/// see sd_listen_fds(3).
fn handed_over() -> anyhow::Result<Vec<Listener>> {
    let mut handed = ListenFd::from_env();
    let mut listeners = Vec::new();
    for index in 0..handed.len() {
        let listener = match handed.take_tcp_listener(index) {
            Ok(Some(listener)) => Listener::Tcp(listener),
            _ => match handed.take_unix_listener(index).with_context(|| format!("number {index}"))? {
                Some(listener) => Listener::Unix(listener, None),
                None => continue,
            },
        };
        match &listener {
            Listener::Tcp(listener) => listener.set_nonblocking(true)?,
            Listener::Unix(listener, _) => listener.set_nonblocking(true)?,
        }
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Binds a Unix socket, in place of one that nobody listens on any more.
fn bind_path(path: &Path) -> anyhow::Result<Listener> {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if is_socket {
        match UnixStream::connect(path) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path)?,
            _ => bail!("another process listens there"),
        }
    }
    let listener = UnixListener::bind(path).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!("there is something else at that path"),
        _ => error.into(),
    })?;
    listener.set_nonblocking(true)?;
    Ok(Listener::Unix(listener, Some(Made::new(path)?)))
}

/// Binds one `HOST:PORT`. A name may stand for several IP addresses; with port
/// 0 they share one port that is free on all of them.
fn bind_name(address: &str) -> anyhow::Result<Vec<TcpListener>> {
    let addresses = resolve(address)?;
    let any_port = addresses.iter().all(|address| address.port() == 0);
    let mut attempts = if any_port && addresses.len() > 1 { ATTEMPTS } else { 1 };
    loop {
        attempts -= 1;
        match bind_all(&addresses) {
            Err((_, error)) if error.kind() == ErrorKind::AddrInUse && attempts > 0 => {}
            Err((bound, error)) => return Err(explain(bound, &error)),
            Ok(listeners) => return Ok(listeners),
        }
    }
}

/// Binds them all, or says which of them cannot be bound, and why.
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
            // Of the addresses of a name, those that this machine does not have
            // are passed over: many have no IPv6.
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
    // A restarted server can have its port back while old connections linger.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        // `[::]:80` and `0.0.0.0:80` can then be given side by side.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

/// The IP addresses that `HOST:PORT` stands for.
fn resolve(address: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let Some((host, port)) = address.rsplit_once(':') else {
        bail!("expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH, and there is no port");
    };
    let port: u16 = port
        .parse()
        .map_err(|_| anyhow!("expected a port from 0 to 65535 after the last colon, found `{port}`"))?;
    if host.is_empty() {
        bail!("expected HOST:PORT, and there is no host (0.0.0.0:{port} is every IPv4 address)");
    }
    // A loopback name by definition (RFC 6761, section 6.3), whatever the
    // resolver of this machine knows of it.
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr = literal
            .parse()
            .map_err(|_| anyhow!("expected an IPv6 address between [ and ], found `{literal}`"))?;
        return Ok(vec![(ip, port).into()]);
    }
    if host.contains(':') {
        bail!("an IPv6 address stands between [ and ]: [{host}]:{port}");
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let found: Vec<_> = (host, port)
        .to_socket_addrs()
        .map_err(|error| anyhow!("the name {host} cannot be resolved: {error}"))?
        .collect();
    if found.is_empty() {
        bail!("the name {host} has no address");
    }
    // A resolver may name an address more than once.
    let mut once: Vec<SocketAddr> = Vec::new();
    for address in found {
        if !once.contains(&address) {
            once.push(address);
        }
    }
    Ok(once)
}

fn is_unavailable(error: &io::Error) -> bool {
    let no_such_family = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.kind() == ErrorKind::AddrNotAvailable || error.raw_os_error() == Some(no_such_family)
}

fn explain(address: SocketAddr, error: &io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow!("{address} is taken, by this process or another (--listen takes another)")
        }
        ErrorKind::PermissionDenied => {
            anyhow!("permission denied for {address} (ports below 1024 need a privilege)")
        }
        ErrorKind::AddrNotAvailable => anyhow!("this machine does not have the address {}", address.ip()),
        _ => anyhow!("{address}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::resolve;

    #[test]
    fn localhost_is_both_loopback_addresses() {
        let found: Vec<_> = resolve("LocalHost:80").unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.1:80", "[::1]:80"]);
    }

    #[test]
    fn literals_are_taken_as_they_are() {
        for literal in ["0.0.0.0:0", "[::]:65535", "127.0.0.2:4444"] {
            assert_eq!(resolve(literal).unwrap()[0].to_string(), literal);
        }
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said() {
        for (address, complaint) in [
            ("4444", "there is no port"),
            (":4444", "there is no host"),
            ("localhost:", "expected a port"),
            ("localhost:65536", "expected a port"),
            ("localhost:http", "found `http`"),
            ("::1:80", "between [ and ]"),
            ("[::1:80", "between [ and ]"),
            ("[1.2.3.4]:80", "expected an IPv6 address"),
        ] {
            let error = resolve(address).unwrap_err().to_string();
            assert!(error.contains(complaint), "{address}: {error}");
        }
    }
}
