//! Fields that are about one connection and not about the message: they end
//! here, in both directions (RFC 9110, section 7.6.1).

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
    /// In lower case and in order, so that a long list costs no more than to be
    /// sorted. Nearly always empty: `close` and `keep-alive` name no field, and
    /// are left out.
    listed: Vec<Vec<u8>>,
}

impl HopByHop {
    pub(super) fn of(fields: &HeaderMap) -> HopByHop {
        let lists = fields.get_all(CONNECTION).into_iter();
        let options = lists.flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
        let options = options.map(<[u8]>::trim_ascii).filter(|option| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        });
        let mut listed: Vec<_> = options.map(<[u8]>::to_ascii_lowercase).collect();
        listed.sort_unstable();
        HopByHop { listed }
    }

    pub(super) fn contains(&self, name: &HeaderName) -> bool {
        let is_listed =
            || self.listed.binary_search_by(|listed| listed[..].cmp(name.as_str().as_bytes())).is_ok();
        NAMES.contains(name) || (!KEPT.contains(name) && is_listed())
    }
}
