//! Checks a response, and writes its head to the [`Channel`] of the request.

use std::ops::Range;

use host_http::invalid_response::InvalidResponse;
use host_http::request_head::Version;
use host_http::response::{self, Own, Places};

use crate::serve::channel::Channel;

/// Response whose head was written to the channel.
pub(super) struct Put {
    /// Status code.
    pub(super) status: u16,
    /// Length of the head in bytes.
    pub(super) head: usize,
    /// Range of the response that is sent as the body, after the head.
    pub(super) body: Range<usize>,
}

/// Value of the header field `connection` in the last response of a connection.
pub(super) const CLOSE: &str = "close";

/// Returns the value of the header field `connection` in a response, if the response needs one. The
/// default depends on the version of HTTP (RFC 9112, section 9.3).
pub(super) fn connection(closes: bool, version: Version) -> Option<&'static str> {
    match (closes, version) {
        (true, _) => Some(CLOSE),
        (false, Version::Http10) => Some("keep-alive"),
        (false, Version::Http11 | Version::Http2) => None,
    }
}

/// Checks a response, and writes the head for the client to the channel. Fails if the response is
/// invalid, or if its head takes more than `head_max` bytes.
pub(super) fn put<C: Channel>(
    channel: &mut C,
    response: &[u8],
    method: &str,
    head_max: usize,
    own: &Own<'_>,
    places: &mut Places,
) -> Result<Put, InvalidResponse> {
    let checked = response::check(response, method, head_max, places)?;
    let head = channel.put_head(&checked, own);
    let start = response.len() - checked.content.len();
    Ok(Put { status: checked.status, head, body: start..start + checked.body().len() })
}
