//! Tasks that compile versions again with full optimisation.

use tokio::task::AbortHandle;

/// Tasks in progress that compile versions of a site again with full optimisation.
#[derive(Default)]
pub(super) struct Optimising {
    pub(super) current: Option<AbortHandle>,
    /// Task for the candidate of a rollout.
    pub(super) candidate: Option<AbortHandle>,
}

impl Optimising {
    /// Cancels all tasks.
    pub(super) fn end(&mut self) {
        self.current.take().into_iter().chain(self.candidate.take()).for_each(|work| work.abort());
    }

    /// Cancels the task for the candidate of a rollout.
    pub(super) fn end_candidate(&mut self) {
        if let Some(work) = self.candidate.take() {
            work.abort();
        }
    }
}
