//! State of one call, which is the data of the wasmtime store. Also bounds the growth of the
//! instance's memory and tables.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_http::request_id::RequestId;

use crate::limits::CallLimits;
use crate::values::Values;

/// State of one call: the data of the wasmtime store in which the call runs.
pub(super) struct CallState {
    pub(super) deadline: Instant,
    /// Maximum duration of the call (`--deadline`). `deadline` is computed from it, and the error
    /// of a call that reaches its deadline shows it.
    pub(super) deadline_limit: Duration,
    /// Whether the call runs on a fiber, where it yields at each tick of the epoch (see
    /// `deadline`). A call on the thread's stack cannot yield.
    pub(super) on_fiber: bool,
    /// CPU time of the thread at the first tick of the epoch during the call; [`None`] before that
    /// tick.
    pub(super) first_tick: Option<Duration>,
    /// Number of ticks of the epoch during the call.
    pub(super) ticks: u32,
    pub(super) request_id: RequestId,
    /// Values of the site. An instance that is used again passes them on to the state of its next
    /// call.
    pub(super) values: Option<Arc<Values>>,
    /// Seed of the request's random bits; [`None`] outside of a request.
    pub(super) seed: Option<[u8; 32]>,
    /// Number of times that the call has drawn random bits.
    pub(super) drawn: u64,
    pub(super) log_lines_left: usize,
    /// Number of log lines that are still to be skipped, because the attempt at this call on the
    /// thread's stack has logged them already. The message about dropped lines counts as one.
    pub(super) log_lines_heard: usize,
    pub(super) log_line_max: usize,
    /// Whether the message about dropped log lines was logged, or is not wanted.
    pub(super) log_cut: bool,
    pub(super) memory_max: usize,
    /// Whether the module tried to grow its memory past `memory_max` during the call.
    pub(super) is_memory_full: bool,
    pub(super) table_max: usize,
}

impl CallState {
    /// Returns the state of a call that began at `since` and runs on a fiber.
    pub(super) fn new(limits: &CallLimits, id: RequestId, since: Instant) -> CallState {
        CallState {
            deadline: since + limits.deadline,
            deadline_limit: limits.deadline,
            on_fiber: true,
            first_tick: None,
            ticks: 0,
            request_id: id,
            values: None,
            seed: None,
            drawn: 0,
            log_lines_left: limits.log_lines_max,
            log_lines_heard: 0,
            log_line_max: limits.log_line_max,
            log_cut: false,
            memory_max: limits.memory_max,
            is_memory_full: false,
            table_max: limits.table_max,
        }
    }

    /// Returns this state with these values of the site.
    pub(super) fn with(self, values: &Arc<Values>) -> CallState {
        CallState { values: Some(Arc::clone(values)), ..self }
    }

    /// Returns the beginning of `said`, a text from the module, with secrets masked. The result has
    /// at least `most` bytes, unless the whole text gives fewer.
    pub(super) fn masked<'a>(&self, said: &'a [u8], most: usize) -> Cow<'a, [u8]> {
        match self.secrets() {
            Some(values) => values.mask_start(said, most),
            None => Cow::Borrowed(said.get(..most).unwrap_or(said)),
        }
    }

    /// Returns the values if at least one of them is a secret to be masked.
    pub(super) fn secrets(&self) -> Option<&Arc<Values>> {
        self.values.as_ref().filter(|values| values.has_secrets())
    }

    /// Returns this state for a request with this seed.
    pub(super) fn seeded(self, seed: Option<[u8; 32]>) -> CallState {
        CallState { seed, ..self }
    }

    /// Returns this state for a call on the thread's stack.
    pub(super) fn on_thread(self) -> CallState {
        CallState { on_fiber: false, ..self }
    }

    /// Returns this state with logging off, because the same work has run and logged before:
    /// `_initialize` in an earlier instance, or an earlier call with the same request.
    pub(super) fn quiet(self) -> CallState {
        CallState { log_lines_left: 0, log_cut: true, ..self }
    }
}

impl wasmtime::ResourceLimiter for CallState {
    fn memory_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let has_room = desired <= self.memory_max;
        self.is_memory_full |= !has_room;
        Ok(has_room)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        Ok(desired <= self.table_max)
    }
}
