//! Fields that are about one connection and not about the message: they end
//! here, in both directions (RFC 9110, section 7.6.1).

use http::HeaderValue;

/// Those that `connection` cannot take away, because the message would not be
/// the same without them.
const KEPT: [&str; 2] = ["host", "content-length"];

/// Whether a field of this name, in lower case, is one of them in any message.
pub(super) fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection" | "keep-alive" | "proxy-connection" | "te" | "trailer" | "transfer-encoding" | "upgrade"
    )
}

/// The fields that a message itself says are hop-by-hop, in its field
/// `connection`.
pub(super) struct Listed {
    /// In lower case and in order, so that a long list costs no more than to be
    /// sorted. Nearly always empty: `close` and `keep-alive` name no field, and
    /// are left out.
    names: Vec<Vec<u8>>,
}

impl Listed {
    /// By these values of `connection`.
    pub(super) fn by<'a>(values: impl Iterator<Item = &'a HeaderValue>) -> Listed {
        let options = values.flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
        let options = options.map(<[u8]>::trim_ascii).filter(|option| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        });
        let mut names: Vec<_> = options.map(<[u8]>::to_ascii_lowercase).collect();
        names.sort_unstable();
        Listed { names }
    }

    /// Whether the field of this name, in lower case, is one of them.
    pub(super) fn contains(&self, name: &str) -> bool {
        let is_named = || self.names.binary_search_by(|listed| listed[..].cmp(name.as_bytes())).is_ok();
        !self.names.is_empty() && !KEPT.contains(&name) && is_named()
    }
}
