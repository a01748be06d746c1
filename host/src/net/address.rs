//! Parses addresses to listen on: `HOST:PORT` or `unix:PATH`, followed by options such as `,tls`.
//! Resolves host names to IP addresses.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use anyhow::{anyhow, bail};
use host_http::forwarded::Trusted;

use crate::net::listener::{PROXY, Speaks, UNIX};
use crate::net::unix_socket;

/// Default address to listen on.
pub(super) const DEFAULT: &str = "localhost:4444";

/// Checks the syntax of an address and its options. Does not resolve the name or bind the address.
///
/// # Errors
///
/// When the syntax is wrong. The error says what was found and what was expected.
pub fn check(address: &str) -> anyhow::Result<()> {
    match address.strip_prefix(UNIX) {
        Some(address) => unix_socket::parse(address).map(drop),
        None => split(split_options(address)?.0).map(drop),
    }
}

/// Checks the syntax of addresses and their options.
///
/// # Errors
///
/// One line about the first address that is wrong: what was found and what was expected.
pub fn check_all(addresses: &[String]) -> Result<(), String> {
    addresses.iter().try_for_each(|address| {
        check(address).map_err(|error| format!("cannot listen on {address}: {error:#}"))
    })
}

/// Returns whether an address needs a TLS certificate, because it has the option `tls` or
/// `redirect`.
pub fn needs_tls(address: &str) -> bool {
    matches!(split_options(address), Ok((_, Some(Speaks::Tls | Speaks::Redirect), _)))
        && !address.starts_with(UNIX)
}

/// Returns whether an address only sends its clients to an address with TLS: it has the option
/// `redirect`.
pub fn redirects(address: &str) -> bool {
    !address.starts_with(UNIX) && matches!(split_options(address), Ok((_, Some(Speaks::Redirect), _)))
}

/// Returns the message that an address with the option `redirect` has nowhere to lead to.
pub fn lacks_tls(address: &str) -> String {
    format!("{address} needs an address with TLS, to which it leads; expected --listen HOST:PORT with it")
}

/// Returns whether TLS is spoken at an address of a server that has a certificate: it is `HOST:PORT`
/// with the option `tls`, or without an option that names another protocol.
pub fn speaks_tls(address: &str) -> bool {
    !address.starts_with(UNIX) && matches!(split_options(address), Ok((_, None | Some(Speaks::Tls), _)))
}

/// Returns the value that `--trust-forwarded` needs for an address with the option `proxy`: `unix`
/// for a Unix socket, otherwise the placeholder `CIDR`. Returns [`None`] without this option.
fn needs_trust(address: &str) -> Option<&'static str> {
    let (has_header, peer) = match address.strip_prefix(UNIX) {
        Some(path) => (unix_socket::parse(path).is_ok_and(|(_, _, has_header)| has_header), "unix"),
        None => (matches!(split_options(address), Ok((_, _, true))), "CIDR"),
    };
    has_header.then_some(peer)
}

/// Returns a message if an address has the option `proxy`, and no proxy of its kind is trusted.
pub fn lacks_trust(addresses: &[String], trusted: &[Trusted]) -> Option<String> {
    addresses.iter().find_map(|address| {
        let kind = needs_trust(address)?;
        let is_of_kind = |trusted: &Trusted| (*trusted == Trusted::Unix) == (kind == "unix");
        (!trusted.iter().any(is_of_kind)).then(|| {
            format!(
                "{address} takes PROXY headers from trusted proxies only; expected --trust-forwarded {kind} with it"
            )
        })
    })
}

/// Splits `HOST:PORT[,OPTION...]`. Returns `HOST:PORT`, the protocol if an option names it, and
/// whether connections begin with a PROXY protocol header.
pub(super) fn split_options(address: &str) -> anyhow::Result<(&str, Option<Speaks>, bool)> {
    let mut parts = address.split(',');
    let place = parts.next().unwrap_or_default();
    let (mut speaks, mut has_header) = (None, false);
    for option in parts {
        let again = match option {
            "plain" => speaks.replace(Speaks::Plain).is_some(),
            "tls" => speaks.replace(Speaks::Tls).is_some(),
            "redirect" => speaks.replace(Speaks::Redirect).is_some(),
            PROXY => std::mem::replace(&mut has_header, true),
            _ => bail!("found `,{option}` behind the address; expected ,tls ,plain ,redirect or ,{PROXY}"),
        };
        if again {
            bail!(
                "found `,{option}` behind another option; expected one of ,tls ,plain ,redirect, and ,{PROXY} once"
            );
        }
    }
    Ok((place, speaks, has_header))
}

/// Returns the host of an address, without the brackets of an IPv6 address; [`None`] for a Unix
/// socket.
pub fn host(address: &str) -> Option<&str> {
    let place = split_options(address).ok()?.0;
    let host = if address.starts_with(UNIX) { None } else { Some(split(place).ok()?.0) };
    host.map(|host| host.trim_start_matches('[').trim_end_matches(']'))
}

/// Checks the syntax of a `HOST:PORT`. Does not resolve the name or bind the address.
///
/// # Errors
///
/// When the syntax is wrong. The error says what was found and what was expected.
pub fn check_tcp(address: &str) -> anyhow::Result<()> {
    split(address).map(drop)
}

/// Splits `HOST:PORT` into host and port.
fn split(address: &str) -> anyhow::Result<(&str, u16)> {
    if let Some((scheme, rest)) = address.split_once("://") {
        let rest = rest.trim_end_matches('/');
        bail!(
            "an address has no scheme; expected HOST:PORT without {scheme}://, such as {}",
            match rest.is_empty() {
                true => DEFAULT,
                false => rest,
            }
        );
    }
    check_form(address)?;
    let Some((host, port)) = address.rsplit_once(':') else {
        bail!("expected HOST:PORT, such as localhost:4444 or [::1]:4444, or unix:PATH; the port is missing");
    };
    let port: u16 = port
        .parse()
        .map_err(|_| anyhow!("expected a port from 0 to 65535 after the last colon, found `{port}`"))?;
    if host.is_empty() || host == "*" {
        let found = if host.is_empty() { "the host is missing" } else { "`*` is no host" };
        bail!(
            "expected HOST:PORT; {found} (0.0.0.0:{port} is every IPv4 address, [::]:{port} every IPv6 address)"
        );
    }
    Ok((host, port))
}

/// Resolves the host in `HOST:PORT` to IP addresses, without duplicates.
pub(super) fn resolve(address: &str) -> anyhow::Result<Vec<SocketAddr>> {
    let (host, port) = split(address)?;
    // localhost is loopback by definition (RFC 6761, section 6.3), whatever the
    // resolver says.
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![(Ipv4Addr::LOCALHOST, port).into(), (Ipv6Addr::LOCALHOST, port).into()]);
    }
    if let Some(literal) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        let ip: Ipv6Addr = literal
            .parse()
            .map_err(|_| anyhow!("expected an IPv6 address between [ and ], found `{literal}`"))?;
        return Ok(vec![(ip, port).into()]);
    }
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![(ip, port).into()]);
    }
    let found = (host, port).to_socket_addrs();
    let found = found.map_err(|error| anyhow!("cannot resolve the name {host}: {error}"))?;
    // A resolver may return an address more than once.
    let mut seen = HashSet::new();
    let addresses: Vec<_> = found.filter(|address| seen.insert(*address)).collect();
    if addresses.is_empty() {
        bail!("the name {host} has no address");
    }
    Ok(addresses)
}

/// Returns an error for common mistakes in `HOST:PORT`. The error shows the address that was
/// probably meant.
fn check_form(address: &str) -> anyhow::Result<()> {
    let is_ipv6 = |text: &str| text.parse::<Ipv6Addr>().is_ok();
    let is_port = |text: &str| text.parse::<u16>().is_ok();
    let (first, rest) = address.split_once(':').unwrap_or((address, ""));
    let (host, port) = address.rsplit_once(':').unwrap_or((address, ""));
    if let Some(inner) = address.strip_prefix('[') {
        if inner.strip_suffix(']').is_some_and(is_ipv6) {
            bail!("expected a port behind the address, such as {address}:4444");
        }
        if !inner.contains(']') {
            let with_port = inner.rsplit_once(':').filter(|(host, port)| is_ipv6(host) && is_port(port));
            let (host, port) = with_port.unwrap_or((inner, "4444"));
            bail!("the ] behind the IPv6 address is missing; expected for example [{host}]:{port}");
        }
        return Ok(());
    }
    // `::1:80` is an address as well, but with a port at its end it is more likely this.
    if is_ipv6(host) && is_port(port) {
        bail!("expected an IPv6 address between [ and ]: [{host}]:{port}");
    }
    if is_ipv6(address) {
        bail!("expected an IPv6 address between [ and ], and a port: [{address}]:4444");
    }
    if first.eq_ignore_ascii_case("unix") {
        bail!("expected `unix:` in small letters: unix:{rest}");
    }
    if host.contains(':') {
        if first.bytes().all(|byte| byte.is_ascii_alphabetic()) && !first.is_empty() {
            bail!("expected HOST:PORT without {first}:, such as {rest}");
        }
        bail!("expected HOST:PORT with one colon, or an IPv6 address between [ and ], such as [::1]:4444");
    }
    Ok(())
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
}
