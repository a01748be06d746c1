//! Threads on which long calls run. Their lower priority lets the serving threads read sockets and
//! answer short calls on time, even on a machine with no more cores than serving threads.

use std::io;
use std::panic::resume_unwind;

use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;
use tracing::warn;

use crate::call_error::CallError;
use crate::health::STACK;

/// Value that is added to the nice value of the threads for long calls. On a core that a serving
/// thread wants too, a long call gets a tenth of the time (sched(7): each step is a factor of
/// 1.25).
const NICE: i32 = 10;

/// The threads on which long calls run. They end when this is dropped.
pub(super) struct LongThreads(Option<Runtime>);

/// A long call that was started. Dropping this ends the call at its next yield.
struct Started<T>(JoinHandle<T>);

impl LongThreads {
    /// Starts `count` threads for long calls, at a lower priority.
    pub(super) fn start(count: usize) -> io::Result<LongThreads> {
        let mut threads = Builder::new_multi_thread();
        threads.worker_threads(count).thread_name("long-calls").thread_stack_size(STACK);
        // The calls of components wait.
        threads.enable_time();
        threads.on_thread_start(|| {
            // Raising the nice value needs no right, so this fails only under a filter of
            // system calls. Long calls then delay short ones.
            if let Err(error) = rustix::process::nice(NICE) {
                warn!(%error, "long calls have no lower priority");
            }
        });
        Ok(LongThreads(Some(threads.build()?)))
    }

    /// Runs a call on these threads, and returns its result. Dropping the future ends the call at
    /// its next yield. A panic of the call continues in the current task.
    ///
    /// # Errors
    ///
    /// [`CallError::NoInstance`] when the threads have ended.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, CallError> {
        let ended = || CallError::no_instance("the threads for long calls have ended");
        let mut started = Started(self.0.as_ref().ok_or_else(ended)?.spawn(call));
        (&mut started.0).await.map_err(|error| match error.try_into_panic() {
            // As if the call had run in this task.
            Ok(panic) => resume_unwind(panic),
            Err(_) => ended(),
        })
    }
}

impl<T> Drop for Started<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Drop for LongThreads {
    fn drop(&mut self) {
        if let Some(threads) = self.0.take() {
            // Does not wait, because the last owner may be a task.
            threads.shutdown_background();
        }
    }
}
