//! Writes one log line for each request. A response that the host made itself is
//! logged at a level that depends on who has to fix the fault, with the name and
//! the cause of the fault.

use std::time::Duration;

use host_http::request_id::RequestId;
use host_http::trace::Trace;
use tracing::{Level, event, field};

use crate::fault::{Fault, Whose};

/// Values of one log line.
pub struct Line<'a> {
    /// Method and target as the client sent them; `None` when the request could not
    /// be parsed.
    pub request: Option<(&'a str, &'a str)>,
    /// Address of the client.
    pub client: &'a str,
    /// Status code of the response.
    pub status: u16,
    /// Length of the response body in bytes; 0 in answer to HEAD.
    pub length: usize,
    /// Time from the end of the head to the response.
    pub took: Duration,
    /// Name of the site, unless it is the default one.
    pub site: Option<&'a str>,
    /// Number of the version that was called, if one was.
    pub version: Option<u64>,
    /// Id of the request.
    pub id: &'a RequestId,
    /// Span of the request, if the host takes part in traces.
    pub trace: Option<&'a Trace>,
    /// Reason for which the host answered instead of the handler, if it did, and its text, in
    /// which secrets are masked.
    pub fault: Option<(&'a Fault, &'a str)>,
}

/// Writes a line under the log target `request`. Values need no escaping here: the log
/// formatter quotes them.
pub fn write(line: &Line<'_>) {
    let (method, target) = line.request.unwrap_or(("-", "-"));
    macro_rules! write_at {
        ($level:expr) => {
            event!(
                target: "request",
                $level,
                method = field::display(method),
                target = field::display(target),
                status = line.status,
                length = line.length,
                client = field::display(line.client),
                time_us = line.took.as_micros() as u64,
                site = line.site,
                version = line.version,
                id = field::display(line.id),
                trace = line.trace.map(|trace| field::display(trace.trace_id())),
                fault = line.fault.map(|(fault, _)| fault.entry().name),
                cause = line.fault.map(|(_, cause)| field::display(cause)),
            )
        };
    }
    match line.fault.map(|(fault, _)| fault.entry().whose) {
        None | Some(Whose::Client) => write_at!(Level::INFO),
        Some(Whose::Operator) => write_at!(Level::WARN),
        Some(Whose::Handler) => write_at!(Level::ERROR),
    }
}
