//! Rolls back to a kept version. A rollback needs no preparation, so it happens at once on the
//! caller's thread.

use std::sync::Arc;

use tracing::info;

use crate::events::event::How;
use crate::site::activate::Rejection;
use crate::site::by::By;
use crate::site::optimise;
use crate::site::outcome::Outcome;
use crate::site::probation::Counts;
use crate::site::shared::Shared;
use crate::site::version::Version;

/// Reason that the state of a rollout gives when a rollback has ended the rollout.
const ROLLED_BACK: &str = "a rollback was ordered";

impl Shared {
    /// Rolls back, as `Swapper::roll_back` describes.
    pub(super) async fn roll_back(
        self: &Arc<Self>,
        number: Option<u64>,
        if_version: Option<u64>,
        by: By,
    ) -> Outcome {
        let rolled_back = self.changes.overrule(|| {
            self.expect_open()?;
            let serving = self.expect_current(if_version)?;
            // The current version has replaced the one before it earlier, so only the rollout is
            // undone.
            let is_of_rollout = number.is_none_or(|number| number == serving);
            match is_of_rollout.then(|| self.end_rollout_for(ROLLED_BACK, by)).flatten() {
                Some(version) => Ok(Err(Outcome::RolloutEnded { version, serving })),
                None => self.go_back(number, if_version, by).map(Ok),
            }
        });
        match rolled_back {
            Ok(Ok(rolled_back)) => self.went_back(Ok(rolled_back), by).await,
            Ok(Err(ended)) => {
                self.save_state_on_thread().await;
                ended
            }
            Err(cause) => self.refused(cause),
        }
    }

    /// Undoes the swap to version `number`: makes version `before` current again, and rejects
    /// version `number`. Unlike a rollback by an operator, does not cancel a swap in progress,
    /// which may bring a fix. Changes nothing if the watch with the counts `watch` has ended.
    pub(super) async fn undo(
        self: &Arc<Self>,
        before: u64,
        number: u64,
        watch: &Arc<Counts>,
        rejection: Rejection,
    ) -> Outcome {
        let by = By::Verdict;
        let undone = self.changes.beside(|| {
            if !self.settings.probation.is_watching(watch) {
                return Err("the watch has ended".to_owned());
            }
            let undone = self.go_back(Some(before), Some(number), by)?;
            self.tell_rejected(number, &rejection, before, by);
            self.rejected_after_all(number, &rejection.cause);
            self.versions.history().reject(number, rejection);
            Ok(undone)
        });
        self.left.notify_one();
        self.went_back(undone, by).await
    }

    /// Makes version `number` current, or by default the version that the current one replaced.
    /// Returns the version that is current afterwards, and the number of the version that was
    /// current before. The caller must hold the lock of `Changes`.
    fn go_back(
        self: &Arc<Self>,
        number: Option<u64>,
        if_version: Option<u64>,
        by: By,
    ) -> Result<(Arc<Version>, u64), String> {
        self.expect_open()?;
        self.expect_current(if_version)?;
        if number.is_none_or(|number| self.versions.history().find(number).is_some()) {
            self.end_rollout_for(ROLLED_BACK, by);
        }
        let before = Arc::clone(&self.versions.current());
        let found = self.versions.roll_back(number);
        let (version, replaced) = found.ok_or_else(|| self.not_kept(number))?;
        if version.label.number != replaced {
            self.settings.probation.end();
            self.forget_secrets(&before, &version);
            optimise::serves(self, &version);
            self.tell_serving(&version.label, replaced, How::Rollback, by);
        }
        Ok((version, replaced))
    }

    /// Logs a rollback, saves the state file, and returns the outcome.
    async fn went_back(
        self: &Arc<Self>,
        rolled_back: Result<(Arc<Version>, u64), String>,
        by: By,
    ) -> Outcome {
        let (version, replaced) = match rolled_back {
            Ok(rolled_back) => rolled_back,
            Err(cause) => return self.refused(cause),
        };
        let label = version.label.clone();
        if label.number == replaced {
            return Outcome::Unchanged { version: replaced };
        }
        self.settings.notice.set_rejection(None);
        info!(site = self.site(), version = label.number, replaced, %by, "rolled back: serving {label}");
        let not_durable = self.save_state_on_thread().await;
        let replayed = None;
        Outcome::Serving { version: label.number, sha256: label.sha256, replaced, replayed, not_durable }
    }
}
