//! Black-box tests: the real binary on a port of its own, seen from outside. Each
//! module has one topic.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// Which calls may run at once.
mod admission;
/// Responses to the routes of the default handler, as a client sees them.
mod answers;
/// Bodies of every size and framing reach the handler and come back unchanged.
mod bodies;
/// Instructions that copy and fill memory are split and keep their results.
mod bulk;
/// Compiling is bounded and delays nobody.
mod compiling;
/// Conditional requests, ranges and random bits, in a module by the SDK.
mod conditional;
/// Connections: lifetime, number and origin.
mod connections;
/// Commands to a running server.
mod control;
/// The documents: links, anchors, and the files that they name.
mod docs;
/// A shutdown loses no request in flight.
mod ending;
/// A faulty handler costs one request, which gets a defined response.
mod faults;
/// The server trusts only folders that nobody else can change.
mod folders;
/// Bytes of clients and modules, compared with the RFCs.
mod fuzzed;
/// The imports of files: no circles, and none from above.
mod graph;
/// Log lines of handlers are written once, whole, and within bounds.
mod handler_log;
/// Work that the host does for a module or a client is short.
mod host_work;
/// Instances start with the memory that `_initialize` left, however large.
mod images;
/// No request sees what another one wrote.
mod isolation;
/// Every part of the memory is driven to its limit.
mod memory;
/// Output of the program: banner, ready line, log lines, help, exit.
mod output;
/// The handler answers alike natively and through WebAssembly.
mod parity;
/// Faults that were found, each named after its cause.
mod regressions;
/// Rules of this repository that a compiler does not check.
mod repository;
/// The features of the SDK, in a module that uses all of them.
mod sdk;
/// Bad input at start: one clear line and exit code 1.
mod startup;
/// Greedy clients and requests do not starve others.
mod starvation;
/// Versions survive a restart, and nothing is left of dropped versions.
mod state;
/// Ambiguous requests are refused, and unresponsive clients are given up.
mod strict;
/// The handler is replaced while the server runs, and no request is lost.
mod swap;
/// Commands for authors of handlers.
mod tools;
/// Programs print what the documents show.
mod transcripts;
/// Every way to change the handler's file is noticed.
mod watch;

mod harness;
