//! One log line for each request. The host's own answers stand out by their
//! level, and say what the fault was.

use std::borrow::Cow;
use std::time::Instant;

use host_http::request_id::RequestId;
use http::{Method, Uri};
use tracing::{Level, event, field};

use crate::fault::{Fault, Whose};

/// What a line says.
pub struct Line<'a> {
    /// The request's method and its target, as the client sent them, if it sent
    /// a request that could be read.
    pub request: Option<(&'a Method, &'a Uri)>,
    /// Who asked: an address.
    pub client: &'a str,
    /// The response's status code.
    pub status: u16,
    /// How long the response's body is, in bytes; 0 in answer to HEAD.
    pub length: u64,
    /// When the request's head had come.
    pub since: Instant,
    /// The number of the version that was called, if one was.
    pub version: Option<u64>,
    /// The request's id.
    pub id: &'a RequestId,
    /// Why the host answered itself, if it did.
    pub fault: Option<&'a Fault>,
}

/// Writes the line, under the log target `request`. Values are quoted where the
/// line is made.
pub fn write(line: &Line<'_>) {
    let target = || match line.request {
        Some((_, target)) => match (target.authority(), target.path_and_query()) {
            (None, Some(path)) => Cow::Borrowed(path.as_str()),
            _ => target.to_string().into(),
        },
        None => "-".into(),
    };
    macro_rules! write_at {
        ($level:expr) => {
            event!(
                target: "request",
                $level,
                method = field::display(line.request.map_or("-", |(method, _)| method.as_str())),
                target = field::display(target()),
                status = line.status,
                length = line.length,
                client = field::display(line.client),
                time_us = line.since.elapsed().as_micros() as u64,
                version = line.version,
                id = field::display(line.id),
                fault = line.fault.map(|fault| fault.entry().name),
                cause = line.fault.map(field::display),
            )
        };
    }
    match line.fault.map(|fault| fault.entry().whose) {
        None | Some(Whose::Client) => write_at!(Level::INFO),
        Some(Whose::Operator) => write_at!(Level::WARN),
        Some(Whose::Handler) => write_at!(Level::ERROR),
    }
}
