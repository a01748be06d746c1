//! Reads the header of the PROXY protocol, by which a proxy that forwards a connection names its
//! client. Supports versions 1 and 2:
//! <https://www.haproxy.org/download/3.2/doc/proxy-protocol.txt>.
//!
//! The bytes after the header belong to TLS or HTTP. So [`read`] returns how many more bytes
//! certainly belong to the header, and the caller reads no more than these from the connection.
//!
//! The project has its own parser, because the crates for this protocol need the whole header at
//! once, and finding its end is most of the work. The crate `proxy-header` also accepts text that
//! no proxy writes; the tests compare this parser with it. The crate `ppp` would bring a second
//! version of `thiserror`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Maximum length of a header of version 1, in bytes, as the protocol defines it.
pub const V1_MAX: usize = 107;

/// Maximum length of a header of version 2 that is accepted, in bytes. The protocol allows 64 KiB,
/// but proxies add only some hundred bytes to the addresses.
pub const V2_MAX: usize = 4096;

/// Start of a header of version 1.
const V1: &[u8] = b"PROXY ";

/// Signature at the start of a header of version 2.
const V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// Length of the shortest header of version 1, in bytes. No header of version 2 is shorter.
const SHORTEST: usize = b"PROXY UNKNOWN\r\n".len();

/// Length of the fixed start of a header of version 2, in bytes. The length that the header states
/// does not include it.
const V2_FIXED: usize = 16;

/// Length of the two paths in a header of version 2 for Unix sockets, in bytes.
const UNIX: usize = 216;

/// Client of a connection, according to the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The header names this address of the client.
    Client(IpAddr),
    /// The proxy opened the connection for itself, for example to check the health of the server.
    Proxy,
    /// The proxy forwards the connection of a client, but the header contains no IP address of the
    /// client.
    Unknown,
}

/// Result of [`read`]: the bytes that still belong to the header, or the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// At least this many more bytes belong to the header.
    Bytes(usize),
    /// All bytes up to and including the next line feed belong to the header, but at most this
    /// many.
    Line(usize),
    /// The header is complete, and contains this information about the client.
    Done(Origin),
}

/// Error for bytes that are not a header of the PROXY protocol. The text says what was expected and
/// what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BadHeader(&'static str);

impl fmt::Display for BadHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for BadHeader {}

/// Reads the part of a header that has arrived. Returns which bytes still belong to the header, or
/// the client if the header is complete. The caller must not pass more bytes than earlier results
/// have assigned to the header.
///
/// # Errors
///
/// [`BadHeader`] if no header begins with these bytes, or the header is too long.
pub fn read(bytes: &[u8]) -> Result<Next, BadHeader> {
    let begins = |with: &[u8]| bytes.iter().zip(with).all(|(one, other)| one == other);
    if !begins(V1) && !begins(V2) {
        return Err(BadHeader("expected `PROXY ` or the signature of version 2, found something else"));
    }
    if bytes.len() < SHORTEST {
        return Ok(Next::Bytes(SHORTEST - bytes.len()));
    }
    if bytes.starts_with(V1) { read_v1(bytes) } else { read_v2(bytes) }
}

fn read_v1(bytes: &[u8]) -> Result<Next, BadHeader> {
    match bytes.strip_suffix(b"\n") {
        Some(line) if bytes.len() <= V1_MAX => line_of_v1(line).map(Next::Done),
        None if bytes.len() < V1_MAX => Ok(Next::Line(V1_MAX - bytes.len())),
        _ => Err(BadHeader("expected at most 107 bytes in version 1, found no end of the line there")),
    }
}

fn line_of_v1(line: &[u8]) -> Result<Origin, BadHeader> {
    let line = line.strip_suffix(b"\r").and_then(|line| line.strip_prefix(V1));
    let line = line.ok_or(BadHeader("expected a line of version 1 that ends in CR LF"))?;
    if line == b"UNKNOWN" || line.starts_with(b"UNKNOWN ") {
        // What follows does not matter.
        return Ok(Origin::Unknown);
    }
    let line = std::str::from_utf8(line).map_err(|_| BadHeader("expected ASCII in version 1"))?;
    let mut parts = line.split(' ');
    let protocol = parts.next();
    let mut address = |parse: fn(&str) -> Option<IpAddr>| parts.next().and_then(parse);
    let (source, target) = match protocol {
        Some("TCP4") => (address(ip::<Ipv4Addr>), address(ip::<Ipv4Addr>)),
        Some("TCP6") => (address(ip::<Ipv6Addr>), address(ip::<Ipv6Addr>)),
        _ => return Err(BadHeader("expected TCP4, TCP6 or UNKNOWN in version 1, found something else")),
    };
    let (Some(source), Some(_)) = (source, target) else {
        return Err(BadHeader("expected two addresses of the protocol that version 1 names"));
    };
    let ports = [parts.next(), parts.next()];
    if !ports.into_iter().all(|port| port.is_some_and(is_port)) || parts.next().is_some() {
        return Err(BadHeader("expected two ports behind the addresses of version 1, and nothing else"));
    }
    Ok(Origin::Client(source))
}

fn ip<T: FromStr + Into<IpAddr>>(text: &str) -> Option<IpAddr> {
    text.parse::<T>().ok().map(Into::into)
}

/// Returns whether a text is a port number without a sign and without leading zeros.
fn is_port(text: &str) -> bool {
    text.parse::<u16>().is_ok_and(|port| port.to_string() == text)
}

fn read_v2(bytes: &[u8]) -> Result<Next, BadHeader> {
    let fixed = bytes.get(V2.len()..V2_FIXED).and_then(|fixed| <[u8; 4]>::try_from(fixed).ok());
    let Some([command, family, high, low]) = fixed else {
        return Ok(Next::Bytes(V2_FIXED.saturating_sub(bytes.len())));
    };
    let length = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if length > V2_MAX {
        return Err(BadHeader("expected at most 4096 bytes in version 2, found a greater length"));
    }
    match bytes.len() {
        received if received < length => return Ok(Next::Bytes(length - received)),
        received if received > length => return Err(BadHeader("expected no bytes behind version 2")),
        _ => {}
    }
    let block = bytes.get(V2_FIXED..).unwrap_or_default();
    match command {
        // What follows does not matter.
        0x20 => Ok(Next::Done(Origin::Proxy)),
        0x21 => addresses_of_v2(family, block).map(Next::Done),
        _ => Err(BadHeader("expected version 2 and the command LOCAL or PROXY, found something else")),
    }
}

/// Returns the client that the addresses in a header of version 2 name. Ignores the additional data
/// that proxies append to the addresses.
fn addresses_of_v2(family: u8, block: &[u8]) -> Result<Origin, BadHeader> {
    let origin = match family {
        0x00 => Some(Origin::Unknown),
        // TCP, and UDP, for a proxy whose client speaks QUIC.
        0x11 | 0x12 => source::<4, 12>(block),
        0x21 | 0x22 => source::<16, 36>(block),
        0x31 | 0x32 => block.get(..UNIX).map(|_| Origin::Unknown),
        _ => return Err(BadHeader("expected a family and a protocol of version 2, found something else")),
    };
    origin.ok_or(BadHeader("expected both addresses in version 2, found a shorter length"))
}

/// Returns the address of the client, which is the first in a block of two addresses and two ports;
/// `None` if the block is too short.
fn source<const ADDRESS: usize, const BLOCK: usize>(block: &[u8]) -> Option<Origin>
where
    IpAddr: From<[u8; ADDRESS]>,
{
    let address = block.first_chunk::<BLOCK>()?.first_chunk::<ADDRESS>()?;
    Some(Origin::Client(IpAddr::from(*address)))
}

#[cfg(test)]
mod tests {
    use proxy_header::{ParseConfig, ProxyHeader};

    use super::{BadHeader, Next, Origin, V1_MAX, V2, V2_MAX, read};

    /// Number of random headers.
    const CASES: usize = 200_000;

    /// Passes `bytes` to [`read`] as if they arrived on a connection, at most `most` at a time.
    /// Returns the result (`None` for an incomplete header) and the number of bytes that were read.
    fn arrive(bytes: &[u8], most: usize) -> (Result<Option<Origin>, BadHeader>, usize) {
        let mut taken = 0;
        loop {
            let rest = &bytes[taken..];
            let ready = &rest[..rest.len().min(most)];
            let more = match read(&bytes[..taken]) {
                Ok(Next::Done(origin)) => return (Ok(Some(origin)), taken),
                Err(bad) => return (Err(bad), taken),
                Ok(Next::Bytes(count)) => ready.len().min(count),
                Ok(Next::Line(count)) => {
                    let line = ready.iter().position(|byte| *byte == b'\n').map_or(ready.len(), |at| at + 1);
                    line.min(count)
                }
            };
            if more == 0 {
                return (Ok(None), taken);
            }
            taken += more;
        }
    }

    fn v2(command: u8, family: u8, block: &[u8]) -> Vec<u8> {
        let length = u16::try_from(block.len()).unwrap().to_be_bytes();
        [V2, &[command, family], &length, block].concat()
    }

    fn client(address: &str) -> Origin {
        Origin::Client(address.parse().unwrap())
    }

    #[test]
    fn headers_name_the_client_and_what_follows_is_left_alone() {
        let four = [192, 0, 2, 1, 10, 0, 0, 1, 0, 80, 1, 187];
        let mut six = [0; 36];
        six[..4].copy_from_slice(&[0x20, 1, 0xd, 0xb8]);
        let with_more = [&four[..], &[4, 0, 3, 1, 2, 3]].concat();
        for (header, expected) in [
            (b"PROXY TCP4 192.0.2.1 10.0.0.1 65535 0\r\n".to_vec(), client("192.0.2.1")),
            (b"PROXY TCP6 2001:db8:: ::1 1 2\r\n".to_vec(), client("2001:db8::")),
            (b"PROXY UNKNOWN\r\n".to_vec(), Origin::Unknown),
            (b"PROXY UNKNOWN ffff:: what\xff ever 1\r\n".to_vec(), Origin::Unknown),
            ([b"PROXY UNKNOWN ", &[b'x'; 91][..], b"\r\n"].concat(), Origin::Unknown),
            (v2(0x21, 0x11, &four), client("192.0.2.1")),
            (v2(0x21, 0x12, &with_more), client("192.0.2.1")),
            (v2(0x21, 0x21, &six), client("2001:db8::")),
            (v2(0x21, 0x31, &[7; 216]), Origin::Unknown),
            (v2(0x21, 0x00, b""), Origin::Unknown),
            (v2(0x20, 0x00, b""), Origin::Proxy),
            (v2(0x20, 0xff, &four), Origin::Proxy),
            (v2(0x21, 0x11, &[&four[..], &[0; V2_MAX - 28]].concat()), client("192.0.2.1")),
        ] {
            for most in [1, 2, 3, 14, 15, 16, 17, usize::MAX] {
                for behind in
                    [&b""[..], b"\n", b"GET / HTTP/1.1\r\n\r\n", b"PROXY UNKNOWN\r\n", &[0x16, 3, 1]]
                {
                    let (origin, taken) = arrive(&[&header, behind].concat(), most);
                    assert_eq!((origin, taken), (Ok(Some(expected)), header.len()), "{header:?}");
                }
            }
            for end in 0..header.len() {
                assert_eq!(arrive(&header[..end], 7), (Ok(None), end), "a part is no header and no mistake");
            }
        }
    }

    #[test]
    fn no_more_bytes_are_taken_than_the_longest_header_has() {
        let endless = [b"PROXY UNKNOWN ", &[b'x'; 1000][..]].concat();
        let (found, taken) = arrive(&endless, usize::MAX);
        assert!(found.is_err() && taken == V1_MAX);
        let (found, taken) = arrive(&v2(0x21, 0x11, &[0; V2_MAX - 15]), usize::MAX);
        assert!(found.is_err() && taken == 16);
    }

    /// Returns a pseudorandom number below `end`, by xorshift64. The numbers are the same in every
    /// run.
    fn below(state: &mut u64, end: usize) -> usize {
        *state ^= *state << 13;
        *state ^= *state >> 7;
        *state ^= *state << 17;
        (*state % end as u64) as usize
    }

    /// Compares this parser with the crate proxy-header, which is less strict about the text of
    /// version 1.
    #[test]
    fn bytes_near_a_header_are_read_as_another_parser_does() {
        let valid = [
            b"PROXY TCP4 192.0.2.1 10.0.0.1 65535 80\r\n".to_vec(),
            b"PROXY TCP6 2001:db8::1 ::1 1 2\r\n".to_vec(),
            b"PROXY UNKNOWN\r\n".to_vec(),
            v2(0x21, 0x11, &[192, 0, 2, 1, 10, 0, 0, 1, 0, 80, 1, 187]),
            v2(0x21, 0x22, &[9; 40]),
            v2(0x21, 0x31, &[9; 216]),
            v2(0x21, 0x00, b""),
            v2(0x20, 0x11, &[1; 12]),
        ];
        let likely = b"\r\n\0 0123456789.:aF+PROXYTCPUNKW\x11\x20\x21\x22\xff";
        let (mut state, mut read_by_both, mut refused) = (0x5eed, 0, 0);
        for _ in 0..CASES {
            let mut bytes = valid[below(&mut state, valid.len())].clone();
            for _ in 0..below(&mut state, 4) {
                let (at, byte) = (below(&mut state, bytes.len()), likely[below(&mut state, likely.len())]);
                match below(&mut state, 4) {
                    0 => bytes[at] = byte,
                    1 => bytes.insert(at, byte),
                    2 if bytes.len() > 1 => drop(bytes.remove(at)),
                    _ => bytes.truncate(at.max(1)),
                }
            }
            bytes.extend_from_slice([&b""[..], b"GET /\r\n\r\n"][below(&mut state, 2)]);
            let (found, taken) = arrive(&bytes, 1 + below(&mut state, 300));
            let config = ParseConfig { include_tlvs: true, allow_v1: true, allow_v2: true };
            let other = ProxyHeader::parse(&bytes, config);
            let address = |header: &ProxyHeader<'_>| header.proxied_address().map(|both| both.source.ip());
            match (found, &other) {
                (Ok(Some(Origin::Client(ip))), Ok((header, length))) => {
                    assert_eq!((address(header), *length), (Some(ip), taken), "{}", bytes.escape_ascii());
                    read_by_both += 1;
                }
                (Ok(Some(Origin::Unknown | Origin::Proxy)), Ok((header, length))) => {
                    assert_eq!((address(header), *length), (None, taken), "{}", bytes.escape_ascii());
                    read_by_both += 1;
                }
                // The family of LOCAL does not matter.
                (Ok(Some(Origin::Proxy)) | Ok(None) | Err(_), Err(_)) => refused += 1,
                // What it takes although no proxy writes it so.
                (Ok(None) | Err(_), Ok((header, length))) => {
                    let mut written = vec![0; V1_MAX];
                    let end = header.encode_to_slice_v1(&mut written).unwrap_or(0);
                    let is_v1 = bytes.starts_with(b"PROXY");
                    assert!(is_v1 && written[..end] != bytes[..*length], "{}", bytes.escape_ascii());
                }
                (found, other) => panic!("{found:?} {other:?} {}", bytes.escape_ascii()),
            }
        }
        assert!(read_by_both > CASES / 10 && refused > CASES / 10, "{read_by_both} {refused}");
    }
}
