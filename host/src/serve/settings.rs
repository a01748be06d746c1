//! Settings that a reload of the configuration changes. A connection keeps those that
//! were in force when it was accepted.

use std::time::Duration;

use host_http::forwarded::Trusted;
use host_http::h1::MessageLimits;

use crate::config::connection::ConnectionLimits;
use crate::config::traceparent::Traceparent;
use crate::serve::write_pace::WriteBounds;

/// Settings of connections.
pub struct Settings {
    /// Limits of one connection and its messages.
    pub limits: ConnectionLimits,
    /// Maximum time for which a shutdown waits for requests in flight.
    pub drain: Duration,
    /// Proxies whose forwarding fields, such as `x-forwarded-for`, and PROXY protocol headers the
    /// host trusts.
    pub trusted: Vec<Trusted>,
    /// How the host takes part in distributed tracing, by the header field `traceparent`.
    pub traceparent: Traceparent,
    /// Time for which browsers have to use https only (`strict-transport-security`); [`None`] if
    /// responses do not have this field.
    pub hsts: Option<Duration>,
    /// Whether the server accepts HTTP/2 without TLS.
    pub h2c: bool,
    /// Whether the server offers HTTP/2 to clients that use TLS.
    pub h2_over_tls: bool,
    /// Whether responses have the number of the version that answered, in the field
    /// `x-handler-version`.
    pub tell_version: bool,
    /// Whether the response to a fault shows its cause (`--dev`).
    pub tell_cause: bool,
}

impl From<&ConnectionLimits> for MessageLimits {
    fn from(limits: &ConnectionLimits) -> MessageLimits {
        let ConnectionLimits { target_max, head_max, fields_max, body_max, .. } = *limits;
        MessageLimits { target_max, head_max, fields_max, body_max: body_max as u64 }
    }
}

impl From<&ConnectionLimits> for WriteBounds {
    fn from(limits: &ConnectionLimits) -> WriteBounds {
        let ConnectionLimits {
            write_timeout: timeout, write_rate_min: rate_min, rate_window: window, ..
        } = *limits;
        WriteBounds { timeout, rate_min, window }
    }
}
