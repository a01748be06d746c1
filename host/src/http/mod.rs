//! HTTP: from hyper's request to the bytes that the handler gets, and from the
//! handler's bytes to hyper's response.
//!
//! | file | question |
//! | --- | --- |
//! | `wire` | where does a message end, and is it one? |
//! | `service` | what happens between a request and its response? |
//! | `request` | what are the bytes that a handler gets? |
//! | `body` | how is its body read, and how fast does it have to come? |
//! | `target` | which forms may a target have? |
//! | `authority` | which server does it say that it is meant for? |
//! | `forwarded` | who is the client behind a proxy? |
//! | `response` | what may a handler return, and what becomes of it? |
//! | `response_head` | what does the head say that it returns? |
//! | `exchange` | how is a handler asked without a client? |
//! | `fields` | how is a field looked up? |
//! | `hop_by_hop` | which fields belong to one connection only? |
//! | `probe` | what is a candidate called with before it serves? |
//! | `expectation` | what does its answer have to be? |
//! | `request_file` | how are both written in a file? |
//! | `fault` | when does the host answer itself, with what status? |
//! | `buffers` | how much memory may all bodies take? |
//! | `counts` | how often was that, and why? |

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
pub use fault::{BodyTooSlow, Fault, Whose};
pub use forwarded::{Trusted, client_net};
pub use probe::{Expected, Place, Probe, ProbeFailure};
pub use request_file::read as read_requests;
pub use service::{App, Client};
pub use target::{BadTarget, Target};
pub use wire::{BadMessage, MessageLimits, Messages};

/// What no flag changes.
pub(crate) mod fixed {
    pub(crate) use super::hop_by_hop::OPTIONS_MAX;
    pub(crate) use super::response_head::FIELDS_MAX as RESPONSE_FIELDS_MAX;
    pub(crate) use super::wire::{DIGITS_MAX, EXTRA_MAX};
}
