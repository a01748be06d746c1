//! Starts background threads, which do not serve requests. A thread that panics is restarted, with
//! a line in the log. `host status` shows the number of restarts.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tracing::error;

/// Stack size in bytes of background threads and of the threads for long calls. The environment
/// variable `RUST_MIN_STACK` does not change it.
pub const STACK: usize = 2 << 20;

/// Wait before the first restart of a thread. It doubles at each restart, up to [`BACKOFF_MAX`].
const BACKOFF_MIN: Duration = Duration::from_millis(10);
/// Maximum wait before a restart of a thread.
const BACKOFF_MAX: Duration = Duration::from_secs(1);

/// Restarts of the threads of one name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    /// Number of running threads of this name.
    #[serde(skip)]
    running: usize,
    /// Number of restarts after a panic.
    pub restarts: u64,
    /// Message of the panic that caused the latest restart.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

static THREADS: Mutex<BTreeMap<&'static str, State>> = Mutex::new(BTreeMap::new());

fn threads() -> MutexGuard<'static, BTreeMap<&'static str, State>> {
    THREADS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the restarts of the running threads, by the name of the thread. Threads with the same
/// name share one entry.
pub fn all() -> BTreeMap<String, State> {
    threads().iter().map(|(name, state)| ((*name).to_owned(), state.clone())).collect()
}

/// Runs `work` on a new thread, and runs it again after a panic, until it returns.
///
/// # Errors
///
/// When the system cannot create a thread.
pub fn keep_running(name: &'static str, mut work: impl FnMut() + Send + 'static) -> io::Result<Thread> {
    let run = move || {
        let mut backoff = BACKOFF_MIN;
        while let Err(panic) = catch_unwind(AssertUnwindSafe(&mut work)) {
            let cause = message(&*panic);
            error!(thread = name, %cause, "a thread has panicked and is restarted");
            let mut threads = threads();
            let state = threads.entry(name).or_default();
            (state.restarts, state.cause) = (state.restarts + 1, Some(cause));
            drop(threads);
            thread::sleep(backoff);
            backoff = (2 * backoff).min(BACKOFF_MAX);
        }
        ended(name);
    };
    threads().entry(name).or_default().running += 1;
    let spawned = thread::Builder::new().name(name.into()).stack_size(STACK).spawn(run);
    if spawned.is_err() {
        ended(name);
    }
    spawned.map(|handle| handle.thread().clone())
}

fn ended(name: &'static str) {
    let mut threads = threads();
    if let Some(state) = threads.get_mut(name) {
        state.running -= 1;
        if state.running == 0 {
            threads.remove(name);
        }
    }
}

/// Returns the message of a panic.
pub fn message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

#[cfg(test)]
mod tests {
    use super::{all, keep_running};
    use std::sync::mpsc::channel;

    #[test]
    fn a_thread_that_panics_is_started_again_and_its_cause_is_kept() {
        let (send, runs) = channel();
        let (end, ended) = channel::<()>();
        let mut count = 0;
        let work = move || {
            count += 1;
            send.send(count).unwrap();
            assert!(count > 2, "run {count}");
            let _ = ended.recv();
        };
        keep_running("tested", work).unwrap();
        assert_eq!(runs.iter().take(3).collect::<Vec<_>>(), [1, 2, 3]);
        let thread = all().remove("tested").unwrap();
        assert_eq!((thread.restarts, thread.cause.as_deref()), (2, Some("run 2")));
        drop(end);
        // The thread ends when `work` returns.
        assert!(runs.recv().is_err());
    }
}
