//! Hop-by-hop fields. They concern a single connection, so the host forwards them neither to a
//! handler nor to a client (RFC 9110, section 7.6.1).

use std::cmp::Ordering;

/// Maximum number of options in all `connection` fields of a message, including empty options.
/// Ordinary messages have one or two. More would cost time, because each field of the message is
/// looked up among the options.
pub const OPTIONS_MAX: usize = 64;

/// Fields that `connection` cannot remove, because the message would have another meaning without
/// them.
const KEPT: [&[u8]; 2] = [b"host", b"content-length"];

/// Splits the values of the `connection` fields into options.
fn options<'a>(values: impl Iterator<Item = &'a [u8]>) -> impl Iterator<Item = &'a [u8]> {
    values.flat_map(|list| list.split(|&byte| byte == b',')).map(<[u8]>::trim_ascii)
}

/// Returns whether the values of the `connection` fields have more than [`OPTIONS_MAX`] options.
pub(super) fn has_too_many_options<'a>(values: impl Iterator<Item = &'a [u8]>) -> bool {
    options(values).nth(OPTIONS_MAX).is_some()
}

/// Fields that the `connection` fields of a message declare hop-by-hop.
pub(super) struct Listed<'a> {
    /// Names in sorted order. Nearly always empty, because `close` and `keep-alive` are left out:
    /// no field is named `close`, and `keep-alive` is hop-by-hop in every message.
    names: Vec<&'a [u8]>,
}

impl<'a> Listed<'a> {
    /// Collects the names from the values of the `connection` fields. Reads at most [`OPTIONS_MAX`]
    /// options, because the caller has refused messages with more.
    pub(super) fn by(values: impl Iterator<Item = &'a [u8]>) -> Listed<'a> {
        let named = |option: &&[u8]| {
            !option.eq_ignore_ascii_case(b"close") && !option.eq_ignore_ascii_case(b"keep-alive")
        };
        let mut names: Vec<_> = options(values).take(OPTIONS_MAX).filter(named).collect();
        names.sort_unstable_by(|a, b| in_lower_case(a, b));
        Listed { names }
    }

    /// Returns whether the `connection` fields declare a field of this name hop-by-hop. Always
    /// false for the fields in [`KEPT`].
    pub(super) fn contains(&self, name: &[u8]) -> bool {
        let find = |listed: &&[u8]| in_lower_case(listed, name);
        !self.names.is_empty()
            && !KEPT.iter().any(|kept| kept.eq_ignore_ascii_case(name))
            && self.names.binary_search_by(find).is_ok()
    }
}

/// Compares two field names case-insensitively.
fn in_lower_case(a: &[u8], b: &[u8]) -> Ordering {
    a.iter().map(u8::to_ascii_lowercase).cmp(b.iter().map(u8::to_ascii_lowercase))
}

#[cfg(test)]
mod tests {
    use super::{Listed, OPTIONS_MAX, has_too_many_options};

    #[test]
    fn options_are_found_in_any_case_and_order_and_in_all_fields() {
        let listed = Listed::by([&b"X-B, close ,x-a"[..], b"", b"Host,\tx-C"].into_iter());
        assert!(["x-a", "X-b", "x-c"].iter().all(|name| listed.contains(name.as_bytes())));
        assert!(!["close", "Host", "x-d", "x"].iter().any(|name| listed.contains(name.as_bytes())));
    }

    #[test]
    fn options_are_counted_over_all_fields_with_those_that_are_empty() {
        let commas = ",".repeat(OPTIONS_MAX - 2);
        assert!(!has_too_many_options([commas.as_bytes(), b"a"].into_iter()));
        assert!(has_too_many_options([commas.as_bytes(), b"a,b"].into_iter()));
    }
}
