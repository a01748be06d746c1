//! Background threads, which prepare and test candidates or get certificates. Each has its own
//! runtime, so that its work does not delay requests on the serving threads.

use std::io;

use host_wasm::health;
use tokio::runtime::{self, Handle};
use tokio::task::JoinHandle;
use tracing::warn;

/// Handle to a background thread, which runs as long as the process.
#[derive(Clone)]
pub struct Background(Handle);

/// Task on a [`Background`] thread. Dropping it aborts the task at its next await point.
struct Started<T>(JoinHandle<T>);

impl Background {
    /// Starts a background thread, and adds `nice` to its nice value.
    ///
    /// # Errors
    ///
    /// When the thread cannot be created.
    pub fn start(name: &'static str, nice: i32) -> io::Result<Background> {
        let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
        let handle = runtime.handle().clone();
        // A panic in a task does not end the thread, because the runtime catches it.
        health::keep_running(name, move || {
            if let Err(error) = rustix::process::nice(nice) {
                warn!(thread = name, %error, "the thread has no lower priority");
            }
            runtime.block_on(std::future::pending())
        })?;
        Ok(Background(handle))
    }

    /// Returns the runtime of the thread.
    pub fn runtime(&self) -> &Handle {
        &self.0
    }

    /// Runs `work` on the thread, and waits for its result. The work continues if the returned
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// One line that says that the work panicked or that the process is ending.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        ended(self.0.spawn(work).await)
    }

    /// Runs `work` on the thread, and waits for its result. The work is aborted if the returned
    /// future is dropped.
    ///
    /// # Errors
    ///
    /// One line that says that the work panicked or that the process is ending.
    pub async fn run_while_wanted<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, String> {
        let mut started = Started(self.0.spawn(work));
        ended((&mut started.0).await)
    }
}

fn ended<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, String> {
    result.map_err(|failed| match failed.try_into_panic() {
        Ok(panic) => format!("the server panicked: {}", health::message(&*panic)),
        Err(_) => "the server is shutting down".into(),
    })
}

impl<T> Drop for Started<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
