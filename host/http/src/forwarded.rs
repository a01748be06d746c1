//! Determines the client behind trusted proxies.

use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use ipnet::IpNet;

use crate::client_net::{ClientNet, Peer};
use crate::field::{Fields, Name};

/// Trusted proxy, or a network of such proxies. The host believes the `x-forwarded-for` field of
/// requests from them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trusted {
    /// Peers with an address in this network.
    Net(IpNet),
    /// Peers on a Unix socket.
    Unix,
}

impl FromStr for Trusted {
    type Err = String;

    fn from_str(text: &str) -> Result<Trusted, String> {
        if text == "unix" {
            return Ok(Trusted::Unix);
        }
        let net = text.parse().or_else(|_| text.parse::<IpAddr>().map(IpNet::from));
        net.map(Trusted::Net)
            .map_err(|_| "expected an IP address, a network such as 10.0.0.0/8, or unix".into())
    }
}

impl Trusted {
    /// Returns whether a peer is one of these proxies.
    pub fn includes(&self, peer: Peer) -> bool {
        match (self, peer) {
            (Trusted::Net(net), Peer::Ip(address)) => net.contains(&address.to_canonical()),
            (Trusted::Unix, Peer::Unix) => true,
            _ => false,
        }
    }
}

/// Returns whether a peer is a trusted proxy.
pub fn is_trusted(peer: Peer, trusted: &[Trusted]) -> bool {
    trusted.iter().any(|trusted| trusted.includes(peer))
}

/// Returns the network for which a peer counts in fair sharing; `None` for a trusted proxy, which
/// stands for many clients, and for a peer without an IP address.
pub fn client_net(peer: Peer, trusted: &[Trusted]) -> Option<ClientNet> {
    if is_trusted(peer, trusted) { None } else { ClientNet::of(peer) }
}

/// Returns the client that sent a request. Starts with `peer`. As long as the address found belongs
/// to a trusted proxy, continues with the next address in `x-forwarded-for`, from right to left.
/// Stops before a malformed address.
pub fn client(peer: Peer, fields: Fields<'_>, trusted: &[Trusted]) -> Peer {
    if trusted.is_empty() {
        return peer;
    }
    let lists = fields.values(Name::ForwardedFor).rev();
    let mut claims = lists.flat_map(|list| list.rsplit(|&byte| byte == b','));
    let mut client = peer;
    while is_trusted(client, trusted) {
        match claims.next().and_then(address) {
            Some(address) => client = Peer::Ip(address),
            // The list has ended, or the entry is malformed and cannot be trusted.
            None => break,
        }
    }
    client
}

/// Parses one entry of `x-forwarded-for`: an address with an optional port.
fn address(claim: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(claim).ok()?.trim();
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse().or_else(|_| text.parse::<SocketAddr>().map(|address| address.ip())).ok()
}

#[cfg(test)]
mod tests {
    use super::{Trusted, client};
    use crate::client_net::Peer;
    use crate::h1::{HeadParser, MessageLimits};

    fn client_of(peer: &str, claims: &[&str], trusted: &[&str]) -> String {
        let lines: String = claims.iter().map(|claim| format!("X-Forwarded-For: {claim}\r\n")).collect();
        let bytes = format!("GET / HTTP/1.1\r\n{lines}\r\n").into_bytes();
        let limits = MessageLimits { target_max: 9, head_max: 1024, fields_max: 9, body_max: 0 };
        let mut parser = HeadParser::default();
        assert!(parser.read(&bytes, &limits).unwrap().is_some());
        let peer = if peer == "unix" { Peer::Unix } else { Peer::Ip(peer.parse().unwrap()) };
        let trusted: Vec<Trusted> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(peer, parser.head(&bytes).fields, &trusted).to_string()
    }

    #[test]
    fn nobody_is_believed_unless_it_was_said() {
        assert_eq!(client_of("192.0.2.1", &["198.51.100.1"], &[]), "192.0.2.1");
        assert_eq!(client_of("192.0.2.1", &["198.51.100.1"], &["10.0.0.0/8", "unix"]), "192.0.2.1");
        assert_eq!(client_of("unix", &["198.51.100.1"], &["0.0.0.0/0"]), "unknown");
    }

    #[test]
    fn a_trusted_proxy_tells_the_client_and_a_client_tells_nothing() {
        let trusted = ["10.0.0.0/8", "::1", "unix"];
        for (peer, claims, expected) in [
            ("10.0.0.1", &["198.51.100.1"][..], "198.51.100.1"),
            ("::ffff:10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("unix", &["198.51.100.1:4711"], "198.51.100.1"),
            ("::1", &["[2001:db8::1]:80"], "2001:db8::1"),
            ("::1", &["2001:db8::1"], "2001:db8::1"),
            // The client made the first entry up.
            ("10.0.0.1", &["192.0.2.66, 198.51.100.1, 10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["192.0.2.66", "198.51.100.1", "10.0.0.2"], "198.51.100.1"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.1, nonsense, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
        ] {
            assert_eq!(client_of(peer, claims, &trusted), expected, "{peer} {claims:?}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in ["", "10.0.0.0/33", "example", "10.0.0", "Unix"] {
            assert!(text.parse::<Trusted>().is_err(), "{text}");
        }
    }
}
