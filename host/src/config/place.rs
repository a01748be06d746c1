//! Place of a site: the hosts and the path for which its handler answers.

use std::fmt;
use std::net::Ipv6Addr;

use thiserror::Error;

/// Maximum length of a host name in bytes (RFC 1035, section 2.3.4).
pub const HOST_MAX: usize = 253;

/// Maximum number of segments in the path of a site. Finding the site of a request takes one step
/// for each segment.
pub const SEGMENTS_MAX: usize = 16;

/// Hosts and path for which a site answers requests. If a request matches several sites, the one
/// with the most specific host answers it; among sites with equal hosts, the one with the longest
/// path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// Hosts for which the site answers; empty for all hosts.
    pub hosts: Vec<Host>,
    /// Path below which the site answers.
    pub path: Prefix,
    /// Whether [`Place::path`] is removed from the target before the handler gets it.
    pub strip: bool,
}

/// Host or hosts for which a site answers requests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// One name or IP address, written as in a URL, in lower case.
    Exact(String),
    /// All subdomains of a name: `example.org` stands for `*.example.org`.
    Below(String),
}

/// Path in whole segments, without a slash at its end: `/shop` contains `/shop`, `/shop/` and
/// `/shop/cart`, but not `/shopping`. The empty path contains all paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Prefix(String);

/// Reason why no site answers a request.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum Nowhere {
    /// No site has the host.
    #[error("no site has this host (hosts of [[site]])")]
    Host,
    /// The host has sites, but none for the path.
    #[error("the host has no site for this path (path of [[site]])")]
    Path,
}

impl Place {
    /// Returns the number of bytes that are removed from the start of a request's path before the
    /// handler gets the target.
    pub fn stripped(&self) -> usize {
        if self.strip { self.path.0.len() } else { 0 }
    }

    /// Returns whether the place matches every request.
    pub fn is_everywhere(&self) -> bool {
        self.hosts.is_empty() && self.path.0.is_empty()
    }
}

impl Host {
    /// Parses a host: `example.org`, an IP address, or `*.example.org` for all names below it.
    ///
    /// # Errors
    ///
    /// One line that says what is expected instead.
    pub fn parse(text: &str) -> Result<Host, String> {
        let lower = text.to_ascii_lowercase();
        let (name, is_below) = match lower.strip_prefix("*.") {
            Some(name) => (name, true),
            None => (lower.as_str(), false),
        };
        let is_label = |label: &str| {
            let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
            !label.is_empty() && label.bytes().all(is_known)
        };
        let is_name = name.split('.').all(is_label);
        if let Some(address) = ipv6(name).filter(|_| !is_below) {
            return Ok(Host::Exact(address));
        }
        if name.len() > HOST_MAX || !is_name {
            return Err(
                "expected a name such as example.org, without a port, or *.example.org for all names below it".into()
            );
        }
        Ok(if is_below { Host::Below(name.into()) } else { Host::Exact(name.into()) })
    }
}

/// Returns an IPv6 address in brackets, such as `[::1]`, in its canonical form; [`None`] for any
/// other text.
pub fn ipv6(host: &str) -> Option<String> {
    let address = host.strip_prefix('[')?.strip_suffix(']')?;
    address.parse::<Ipv6Addr>().ok().map(|address| format!("[{address}]"))
}

impl Prefix {
    /// Parses a path such as `/shop`. Removes a slash at the end.
    ///
    /// # Errors
    ///
    /// One line that says what is expected instead.
    pub fn parse(text: &str) -> Result<Prefix, String> {
        let path = text.strip_suffix('/').unwrap_or(text);
        let is_known = |byte: u8| byte.is_ascii_graphic() && !b"?#".contains(&byte);
        let is_valid = text.starts_with('/')
            && !path.ends_with('/')
            && path.bytes().all(is_known)
            && path.bytes().filter(|byte| *byte == b'/').count() <= SEGMENTS_MAX;
        match is_valid {
            true => Ok(Prefix(path.into())),
            false => Err(format!(
                "expected a path such as /shop, of at most {SEGMENTS_MAX} segments, without a query"
            )),
        }
    }

    /// Returns the path without a slash at its end; empty for all paths.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Exact(name) => f.write_str(name),
            Host::Below(name) => write!(f, "*.{name}"),
        }
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "/" } else { &self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::{Host, Prefix};

    #[test]
    fn hosts_are_parsed() {
        for (text, shown) in [
            ("Example.ORG", "example.org"),
            ("*.example.org", "*.example.org"),
            ("localhost", "localhost"),
            ("127.0.0.1", "127.0.0.1"),
            ("[::1]", "[::1]"),
            ("[0:0::1]", "[::1]"),
        ] {
            assert_eq!(Host::parse(text).unwrap().to_string(), shown);
        }
        let long = "a.".repeat(130) + "b";
        for text in
            ["", "*", "*.", "a..b", "a.*.b", "a:80", "a b", "http://a", "[::1", "*.[::1]", "ä", "a.", &long]
        {
            assert!(Host::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn paths_are_parsed() {
        for (text, shown) in [("/", "/"), ("/shop", "/shop"), ("/shop/", "/shop"), ("/a/b%20c", "/a/b%20c")] {
            assert_eq!(Prefix::parse(text).unwrap().to_string(), shown);
        }
        let deep = "/a".repeat(17);
        for text in ["", "shop", "//", "/a//", "/a?b", "/a#b", "/a b", "/ä", &deep] {
            assert!(Prefix::parse(text).is_err(), "{text}");
        }
    }
}
