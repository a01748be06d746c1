//! Black-box tests: the real binary on a port of its own, seen from the outside.
//! The topics:

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

/// Which calls may run at once.
mod admission;
/// What is answered: the mission's table of requests, as a client sees it.
mod answers;
/// Bodies of every size and framing reach the handler and come back unchanged.
mod bodies;
/// Instructions that copy and fill memory are split, and do what they did.
mod bulk;
/// Compiling is bounded, and in nobody's way.
mod compiling;
/// Connections: how long they live, how many there may be, and where they come
/// from.
mod connections;
/// A running server is told what to do.
mod control;
/// The end of the process loses nothing that is in flight.
mod ending;
/// A handler that misbehaves costs one request, with a defined answer.
mod faults;
/// Folders of the server's are trusted only as far as nobody else can change
/// them.
mod folders;
/// What is on the wire, held against the RFCs, and what modules say.
mod fuzzed;
/// What handlers write to the log is heard once, on its line, and within bounds.
mod handler_log;
/// What the host does on behalf of a module or a client is short, whatever they say.
mod host_work;
/// Instances begin with what `_initialize` left, however much that is.
mod images;
/// No request sees what another one wrote.
mod isolation;
/// Everything that takes memory is driven to its limit.
mod memory;
/// How the program talks: banner, ready line, log lines, help, end.
mod output;
/// The handler answers the same natively and through WebAssembly.
mod parity;
/// Faults that were found, each by the name of its cause.
mod regressions;
/// The rules of this repository that a compiler does not check.
mod repository;
/// What the SDK offers, in a module that uses all of it.
mod sdk;
/// Bad input at start-up: one clear line, exit code 1.
mod startup;
/// Nobody is kept from being served by those who take more than their share.
mod starvation;
/// Versions survive a restart, and nothing is left of those that went.
mod state;
/// What is ambiguous is refused, and who does not take part is given up.
mod strict;
/// The handler is replaced while the server runs, and nobody notices.
mod swap;
/// The commands for those who write a handler.
mod tools;
/// A change of the handler's file is seen, however it is made.
mod watch;

mod harness;
