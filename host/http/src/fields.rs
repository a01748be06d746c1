//! Looks up header fields.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

/// Returns all values of a field in order. For heads of the usual length this is
/// faster than `get_all`, which hashes the name first.
pub(super) fn values<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
    fields.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value)
}
