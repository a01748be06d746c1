//! Checks a response, and gives its head to the channel of its request.

use std::ops::Range;

use host_http::invalid_response::InvalidResponse;
use host_http::request_head::Version;
use host_http::response::{self, Own, Places};

use crate::serve::channel::Channel;

/// Response as it was put into the channel.
pub(super) struct Put {
    /// Status.
    pub(super) status: u16,
    /// Length of the head in bytes.
    pub(super) head: usize,
    /// Part of the response that is to be sent behind the head.
    pub(super) body: Range<usize>,
}

/// Value of `connection` in the last response of a connection.
pub(super) const CLOSE: &str = "close";

/// Returns the value of `connection` in a response. Each version of HTTP has another default
/// (RFC 9112, section 9.3).
pub(super) fn connection(closes: bool, version: Version) -> Option<&'static str> {
    match (closes, version) {
        (true, _) => Some(CLOSE),
        (false, Version::Http10) => Some("keep-alive"),
        (false, Version::Http11 | Version::Http2) => None,
    }
}

/// Checks a response, whose head may have `head_max` bytes, and puts the head that the
/// client gets.
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
