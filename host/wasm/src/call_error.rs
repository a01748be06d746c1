//! The errors of a call. Each says whose fault it is, and which flag would help.

use std::time::Duration;

use humantime::format_duration;
use thiserror::Error;

/// Address and length from a module that reach outside of the module's memory.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("address {address:#x} + {length} bytes is past the end of its memory of {memory} bytes")]
pub struct BadSpan {
    /// Start of the range in the module's memory, as the module gave it.
    pub address: u32,
    /// Length of the range in bytes, from the module or from the request.
    pub length: u32,
    /// The memory's size in bytes.
    pub memory: usize,
}

/// Why a call gave no response.
#[derive(Debug, Error)]
pub enum CallError {
    /// No permit came free in time, or the queue for permits is full.
    #[error(
        "no instance came free in time: {calls} long calls may run and {queue} may wait (--instances, --queue, --queue-timeout)"
    )]
    Busy {
        /// Maximum number of long calls at once.
        calls: usize,
        /// Maximum number of waiting calls.
        queue: usize,
    },
    /// No instance for candidates came free in time, or too many candidates wait for one.
    #[error(
        "no instance for candidates came free in {waited:?}: {max} calls of candidates run at once, and others took them all; try again"
    )]
    CandidatesBusy {
        /// Maximum number of calls of candidates at once.
        max: usize,
        /// Maximum time for which a call of a candidate waits.
        waited: Duration,
    },
    /// An instance could not be created or prepared, although the limits allow it.
    #[error("cannot create an instance ({}): {cause}", shortage(cause))]
    NoInstance {
        /// The message of wasmtime or of the system.
        cause: String,
    },
    /// The module trapped: it stopped itself, or broke a rule of WebAssembly.
    #[error("{}", describe(trap, panic.as_deref(), frames))]
    Trap {
        /// wasmtime's message.
        trap: String,
        /// The module's own message, if it panicked.
        panic: Option<String>,
        /// The functions on the stack, innermost first.
        frames: Vec<String>,
    },
    /// The call passed its deadline.
    #[error(
        "{}",
        with_frames(format!("the call took longer than its deadline of {} (--deadline)", format_duration(*limit)), frames)
    )]
    Deadline {
        /// Value of `--deadline`.
        limit: Duration,
        /// Functions on the stack at the deadline, innermost first; empty if the module was not
        /// running.
        frames: Vec<String>,
    },
    /// `alloc` returned no memory for the request, or the request is too long for a
    /// memory.
    #[error(
        "the module has no room for a request of {length} bytes (limited by the module or by --memory-max)"
    )]
    NoRoom {
        /// The length of the whole request in bytes.
        length: usize,
    },
    /// `alloc` or `handle` returned a span outside of the module's memory.
    #[error("its export `{export}` returned a bad address: {cause}")]
    BadSpan {
        /// Name of the export: `alloc` or `handle`.
        export: &'static str,
        /// The span and the size of the memory.
        cause: BadSpan,
    },
    /// A component ended without a response.
    #[error("it ended without a response; expected it to call `response-outparam.set`")]
    NoResponse,
    /// A component answered with an error instead of a response.
    #[error("it answered with an error instead of a response: {code}")]
    ErrorCode {
        /// The error code of `wasi:http`.
        code: String,
    },
    /// A component dropped the body of its response without finishing it.
    #[error(
        "it gave up its response after {written} bytes of the body; expected it to call `outgoing-body.finish`"
    )]
    Unfinished {
        /// Length in bytes of the part of the body that the component wrote.
        written: usize,
    },
    /// The body that a component wrote does not have the length that the head of the response
    /// states.
    #[error("it wrote {written} bytes of a body whose content-length is {stated}")]
    BodyLength {
        /// Value of `content-length` in the head.
        stated: u64,
        /// Length in bytes of the body that the component wrote.
        written: usize,
    },
    /// The response of a component is longer than `--response-max`. Its full length is unknown.
    #[error("its response is longer than {limit} bytes (--response-max)")]
    ResponseGrewTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The message, for example a recorded one, is not a request that the host has encoded, so no
    /// component can get it.
    #[error("the message is not a request that the host has encoded, so no component can get it")]
    Unreadable,
    /// The response of a module is longer than `--response-max`.
    #[error("its response is {length} bytes long, more than {limit} (--response-max)")]
    ResponseTooLong {
        /// The response's length in bytes.
        length: u32,
        /// The limit in bytes.
        limit: usize,
    },
}

impl CallError {
    pub(super) fn no_instance(error: impl std::fmt::Display) -> CallError {
        CallError::NoInstance { cause: error.to_string() }
    }
}

/// Returns what the system probably lacks, as text for a message.
fn shortage(cause: &str) -> &'static str {
    match ["os error 24", "os error 23"].iter().any(|error| cause.contains(error)) {
        true => "no descriptor is left: ulimit -n",
        false => "the system may be short of memory",
    }
}

fn describe(trap: &str, panic: Option<&str>, frames: &[String]) -> String {
    let trap = match panic {
        Some(panic) => format!("panic: {panic}; {trap}"),
        None => trap.to_owned(),
    };
    with_frames(trap, frames)
}

fn with_frames(text: String, frames: &[String]) -> String {
    match frames {
        [] => text,
        frames => format!("{text}; in {}", frames.join(" < ")),
    }
}
