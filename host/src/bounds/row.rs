//! Rows of the tables of fixed bounds, which no flag changes.

use std::time::Duration;

use crate::amount::Amount;

/// Row of a table of bounds: what is bounded, its largest amount, and the effect of exceeding that
/// amount.
pub(crate) type Row = (&'static str, Amount, &'static str);

pub(super) fn count(what: &'static str, most: u64, past: &'static str) -> Row {
    (what, Amount::Count(most), past)
}

pub(super) fn bytes(what: &'static str, most: usize, past: &'static str) -> Row {
    (what, Amount::Bytes(most as u64), past)
}

pub(super) fn time(what: &'static str, most: Duration, past: &'static str) -> Row {
    (what, Amount::Time(most), past)
}
