//! Looking up fields.

use http::header::HeaderName;
use http::{HeaderMap, HeaderValue};

/// All values of a field, in order: what `get_all` gives, which hashes the name
/// first. To look at each field of a head takes less, if it is as short as heads
/// mostly are.
pub(super) fn values<'a>(fields: &'a HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'a HeaderValue> {
    fields.iter().filter(move |(other, _)| *other == name).map(|(_, value)| value)
}
