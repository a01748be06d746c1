//! Fields that are about one connection and not about the message: they end
//! here, in both directions (RFC 9110, section 7.6.1).

use std::collections::HashSet;

use http::HeaderMap;
use http::header::{CONNECTION, CONTENT_LENGTH, HOST, HeaderName};

/// Those with a name of their own.
const NAMES: [HeaderName; 7] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    http::header::TE,
    http::header::TRAILER,
    http::header::TRANSFER_ENCODING,
    http::header::UPGRADE,
];

/// Those that `connection` cannot take away, because the message would not be
/// the same without them.
const KEPT: [HeaderName; 2] = [HOST, CONTENT_LENGTH];

/// The hop-by-hop fields of one message: those above, and those that its field
/// `connection` lists.
pub(super) struct HopByHop {
    /// In lower case. Nearly always empty: `close` and `keep-alive` name no
    /// field, and are left out.
    listed: HashSet<Vec<u8>>,
}

impl HopByHop {
    pub(super) fn of(fields: &HeaderMap) -> HopByHop {
        let lists = fields.get_all(CONNECTION).into_iter();
        let options = lists.flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
        let options = options.map(|option| option.trim_ascii().to_ascii_lowercase());
        HopByHop {
            listed: options.filter(|option| !matches!(&option[..], b"close" | b"keep-alive")).collect(),
        }
    }

    pub(super) fn contains(&self, name: &HeaderName) -> bool {
        let listed = !self.listed.is_empty() && self.listed.contains(name.as_str().as_bytes());
        NAMES.contains(name) || (listed && !KEPT.contains(name))
    }
}
