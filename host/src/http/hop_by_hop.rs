//! Fields that are about one connection and not about the message: they end
//! here, in both directions (RFC 9110, section 7.6.1).

use http::HeaderMap;
use http::header::{CONNECTION, HOST, HeaderName};

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

/// Whether the field is hop-by-hop: by its name, or because `connection` among
/// `fields` lists it. `host` cannot be taken away in this manner.
pub(super) fn is_hop_by_hop(name: &HeaderName, fields: &HeaderMap) -> bool {
    NAMES.contains(name) || (name != HOST && connection_lists(fields, name.as_str()))
}

fn connection_lists(fields: &HeaderMap, name: &str) -> bool {
    let lists = fields.get_all(CONNECTION).into_iter();
    let mut options = lists.flat_map(|list| list.as_bytes().split(|&byte| byte == b','));
    options.any(|option| option.trim_ascii().eq_ignore_ascii_case(name.as_bytes()))
}
