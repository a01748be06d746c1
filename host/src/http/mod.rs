//! HTTP: converts hyper's request to the bytes that the handler gets, and the
//! handler's bytes to hyper's response.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `wire` | message framing on the connection |
//! | `service` | answering a request |
//! | `request` | the canonical bytes of a request |
//! | `body` | reading request bodies |
//! | `target` | forms of the request target |
//! | `authority` | the server that a request names |
//! | `forwarded` | the client behind trusted proxies |
//! | `response` | checking and framing responses of handlers |
//! | `response_head` | parsing response heads |
//! | `exchange` | requests without a client |
//! | `fields` | lookup of fields |
//! | `hop_by_hop` | fields that concern one connection only |
//! | `probe` | probes of candidates |
//! | `expectation` | expectations about responses |
//! | `request_file` | parser of request files |
//! | `fault` | faults and their statuses |
//! | `buffers` | memory budget for bodies |
//! | `counts` | number of faults by kind |

mod authority;
mod body;
mod buffers;
mod counts;
mod exchange;
mod expectation;
mod fault;
mod fields;
mod forwarded;
mod hop_by_hop;
mod probe;
pub mod request;
mod request_file;
pub mod response;
mod response_head;
mod service;
mod target;
mod wire;

pub use authority::BadHost;
pub use buffers::{Buffers, UNCOUNTED};
pub use counts::FaultCounts;
pub use exchange::{Answer, Asked, call};
pub use expectation::{Expectation, Mismatch};
pub use fault::{Fault, Whose};
pub use forwarded::{Trusted, client_net};
pub use probe::{Expected, Place, Probe, ProbeFailure};
pub use request_file::read as read_requests;
pub use service::{App, Client};
pub use target::{BadTarget, Target};
pub use wire::{BadMessage, MessageLimits, Messages};

/// Bounds that no flag changes.
pub(crate) mod fixed {
    pub(crate) use super::hop_by_hop::OPTIONS_MAX;
    pub(crate) use super::response_head::FIELDS_MAX as RESPONSE_FIELDS_MAX;
    pub(crate) use super::wire::{DIGITS_MAX, EXTRA_MAX};
}
