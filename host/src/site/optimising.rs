//! Optimisations in progress.

use tokio::task::AbortHandle;

/// Optimisations in progress.
#[derive(Default)]
pub(super) struct Optimising {
    pub(super) current: Option<AbortHandle>,
    /// Optimisation of the candidate of a rollout.
    pub(super) candidate: Option<AbortHandle>,
}

impl Optimising {
    /// Ends all optimisations.
    pub(super) fn end(&mut self) {
        self.current.take().into_iter().chain(self.candidate.take()).for_each(|work| work.abort());
    }

    /// Ends the optimisation of the candidate of a rollout.
    pub(super) fn end_candidate(&mut self) {
        if let Some(work) = self.candidate.take() {
            work.abort();
        }
    }
}
