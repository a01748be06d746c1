//! Networks of clients. The host counts connections and calls by network, so that clients get fair
//! shares under load.

use std::fmt;
use std::net::IpAddr;

/// The other end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// Address of a TCP peer.
    Ip(IpAddr),
    /// Peer on a Unix socket, which has no address.
    Unix,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            // An IPv4 client may come in over IPv6, as `::ffff:192.0.2.1`.
            Peer::Ip(address) => address.to_canonical().fmt(f),
            // RFC 7239, section 6.2, has this word for a client without an address.
            Peer::Unix => f.write_str("unknown"),
        }
    }
}

/// Network of one client: an IPv4 address, or an IPv6 /64, the smallest block that
/// providers assign to a customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ClientNet {
    /// Network of an IPv4 client: all bits of its address.
    V4(u32),
    /// Network of an IPv6 client: the first 64 bits of its address.
    V6(u64),
}

impl ClientNet {
    /// Returns the network of a peer, or `None` for a peer without an IP address.
    pub fn of(peer: Peer) -> Option<ClientNet> {
        let Peer::Ip(address) = peer else {
            return None;
        };
        Some(match address.to_canonical() {
            IpAddr::V4(address) => ClientNet::V4(address.to_bits()),
            IpAddr::V6(address) => ClientNet::V6((address.to_bits() >> 64) as u64),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::ClientNet;
    use super::Peer;

    fn net(text: &str) -> Option<ClientNet> {
        ClientNet::of(Peer::Ip(text.parse().unwrap()))
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_64_bits_of_an_ipv6_address() {
        assert_eq!(net("192.0.2.1"), net("::ffff:192.0.2.1"));
        assert_ne!(net("192.0.2.1"), net("192.0.2.2"));
        assert_eq!(net("2001:db8::1"), net("2001:db8::ffff:0:0:2"));
        assert_ne!(net("2001:db8::1"), net("2001:db8:0:1::1"));
        assert_eq!(ClientNet::of(Peer::Unix), None);
    }
}
