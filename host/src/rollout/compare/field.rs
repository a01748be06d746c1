//! Compares the headers of two responses.

use std::collections::BTreeSet;

use http::HeaderMap;
use http::header::HeaderName;

use crate::rollout::compare::part::Part;
use crate::rollout::compare::shown::{around, common_prefix, start, text_of};

/// Maximum number of differing headers that a [`Verdict`](super::verdict::Verdict) lists.
pub(super) const FIELDS_MAX: usize = 10;

/// Maximum number of values of a header that a [`Verdict`](super::verdict::Verdict) lists for each
/// version.
const VALUES_MAX: usize = 4;

/// Returns the headers that differ, sorted by name, without those that `is_ignored` accepts. If a
/// header has several values, their order matters.
pub(super) fn parts(from: &HeaderMap, to: &HeaderMap, is_ignored: impl Fn(&HeaderName) -> bool) -> Vec<Part> {
    let names: BTreeSet<&str> =
        from.keys().chain(to.keys()).filter(|name| !is_ignored(name)).map(HeaderName::as_str).collect();
    let differing: Vec<&str> =
        names.into_iter().filter(|name| !from.get_all(*name).iter().eq(to.get_all(*name))).collect();
    let mut parts: Vec<Part> = differing.iter().take(FIELDS_MAX).map(|name| part(name, from, to)).collect();
    if let Some(count @ 1..) = differing.len().checked_sub(FIELDS_MAX) {
        parts.push(Part::MoreFields { count: count as u64 });
    }
    parts
}

fn part(name: &str, from: &HeaderMap, to: &HeaderMap) -> Part {
    let values = |fields: &HeaderMap| {
        fields.get_all(name).iter().map(|value| text_of(value.as_bytes()).into_owned()).collect::<Vec<_>>()
    };
    let (from, to) = (values(from), values(to));
    // Of many values, those before the last equal one are left out.
    let equal = from.iter().zip(&to).take_while(|(from, to)| from == to).count();
    let is_long = from.len().max(to.len()) > VALUES_MAX;
    let skipped = if is_long { equal.saturating_sub(1) } else { 0 };
    let (shown_from, shown_to) = (shown(&from, &to, skipped), shown(&to, &from, skipped));
    let more = from.len() + to.len() - shown_from.len() - shown_to.len();
    Part::Field { name: start(name), from: shown_from, to: shown_to, more: more as u64 }
}

/// Returns at most [`VALUES_MAX`] of the values after the first `skipped`. Each value is cut around
/// its first difference from the value at the same index in `others`.
fn shown(values: &[String], others: &[String], skipped: usize) -> Vec<String> {
    let cut = |(index, value): (usize, &String)| {
        let other = others.get(index).map_or("", String::as_str);
        around(value, common_prefix(value.as_bytes(), other.as_bytes()))
    };
    values.iter().enumerate().skip(skipped).take(VALUES_MAX).map(cut).collect()
}
