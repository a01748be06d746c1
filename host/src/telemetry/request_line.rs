//! Settings of request lines, which are the log lines about requests: their fields, and how much of
//! a query they show. A reload of the configuration can change both.

use std::borrow::Cow;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use crate::config::log_lines::{LogFields, LogQuery};
use crate::telemetry::redact;

static FIELDS: AtomicU32 = AtomicU32::new(LogFields::DEFAULT.bits());

/// How much of a query is shown: a variant of [`LogQuery`], as its number.
static QUERY: AtomicU8 = AtomicU8::new(LogQuery::Keep as u8);

/// Sets the fields of request lines, and how much of a query they show. Takes effect at once.
pub fn set(fields: LogFields, query: LogQuery) {
    FIELDS.store(fields.bits(), Relaxed);
    QUERY.store(query as u8, Relaxed);
}

/// Returns the fields of request lines.
pub fn fields() -> LogFields {
    LogFields::from_bits(FIELDS.load(Relaxed))
}

/// Returns a request target as the log may show it: without user information, and with as much of
/// the query as `--log-query` allows.
pub fn target(text: &str) -> Cow<'_, str> {
    redact::target(text, query())
}

/// Returns the value of a `referer` as the log may show it: without user information, and with as
/// much of the query as `--log-query` allows.
pub fn referer(text: &str) -> Cow<'_, str> {
    redact::referer(text, query())
}

fn query() -> LogQuery {
    const MASK: u8 = LogQuery::Mask as u8;
    const DROP: u8 = LogQuery::Drop as u8;
    match QUERY.load(Relaxed) {
        MASK => LogQuery::Mask,
        DROP => LogQuery::Drop,
        _ => LogQuery::Keep,
    }
}
