//! HTTP: from hyper's request to the bytes that the handler gets, and from the
//! handler's bytes to hyper's response.
//!
//! | file | question |
//! | --- | --- |
//! | `wire` | where does a message end, and is it one? |
//! | `service` | what happens between a request and its response? |
//! | `request` | what are the bytes that a handler gets? |
//! | `target` | which forms may a target have? |
//! | `authority` | which server does it say that it is meant for? |
//! | `forwarded` | who is the client behind a proxy? |
//! | `response` | what may a handler return, and what becomes of it? |
//! | `hop_by_hop` | which fields belong to one connection only? |
//! | `probe` | what is a candidate called with before it serves? |
//! | `fault` | when does the host answer itself, with what status? |
//! | `buffers` | how much memory may all bodies take? |
//! | `counts` | how often was that, and why? |

mod authority;
mod buffers;
mod counts;
mod fault;
mod forwarded;
mod hop_by_hop;
mod probe;
mod request;
mod response;
mod service;
mod target;
mod wire;

pub use authority::BadHost;
pub use buffers::Buffers;
pub use counts::FaultCounts;
pub use fault::{Fault, Whose};
pub use forwarded::Trusted;
pub use probe::{Probe, ProbeFailure};
pub use response::InvalidResponse;
pub use service::{App, Client};
pub use target::BadTarget;
pub use wire::{BadMessage, MessageLimits, Messages};
