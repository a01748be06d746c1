//! Publishes a candidate that has passed the gate, or begins its rollout.

use std::sync::Arc;

use crate::events::event::How;
use crate::rollout::plan::Plan;
use crate::rollout::report::accept::Accept;
use crate::site::activate::{Rejection, Stage, Times};
use crate::site::by::By;
use crate::site::demand::Demand;
use crate::site::judge;
use crate::site::optimise;
use crate::site::outcome::Published;
use crate::site::saved::Kept;
use crate::site::shared::Shared;
use crate::site::version::Version;

/// Candidate that has passed the gate.
pub(super) struct Approved {
    pub(super) version: Version,
    /// Bytes of the module.
    pub(super) file: Arc<[u8]>,
    /// Plan of the candidate's rollout; [`None`] if the candidate serves all clients at once.
    pub(super) plan: Option<Plan>,
    /// Differences from the responses of the current version that the operator accepts.
    pub(super) accept: Accept,
    /// Number of the version that must be current, if the order names one.
    pub(super) if_version: Option<u64>,
    pub(super) by: By,
}

impl Shared {
    /// Publishes a candidate, or begins its rollout. The caller must hold the lock of `Changes`.
    pub(super) fn publish_or_roll_out(
        self: &Arc<Self>,
        Approved { version, file, plan, accept, if_version, by }: Approved,
        demand: &Demand,
        times: &mut Times,
    ) -> Result<Published, Rejection> {
        if let Some(plan) = plan {
            let before = self.begin_rollout(version, &file, (plan.clone(), accept), if_version, times, by)?;
            return Ok(Published::RollingOut(before, plan));
        }
        let number = version.label.number;
        let replaced = self.publish(Arc::new(version), &file, if_version, times, by)?;
        judge::begin(self, number, replaced, demand);
        Ok(Published::Serving(replaced))
    }

    /// Publishes a candidate, and returns the number of the version that it replaced. Fails if the
    /// site accepts no changes, if `if_version` is not current, or if the version cannot be saved
    /// as `--require-durable` demands. The caller must hold the lock of `Changes`.
    pub(super) fn publish(
        self: &Arc<Self>,
        version: Arc<Version>,
        file: &Arc<[u8]>,
        if_version: Option<u64>,
        times: &mut Times,
        by: By,
    ) -> Result<u64, Rejection> {
        let label = version.label.clone();
        self.expect_open().map_err(|cause| times.rejection(cause))?;
        let serving = self.expect_current(if_version).map_err(|cause| times.rejection(cause))?;
        if self.settings.require_durable {
            let kept = Kept { replaced: Some(serving), ..Kept::new(label.clone()) };
            let saved = times.measure_here(Stage::Save, || self.store.save_ahead(&self.versions, kept, file));
            saved.map_err(|error| {
                let cause = "it would not survive a restart (--require-durable)";
                times.rejection(format!("{cause}: {error:#}"))
            })?;
        }
        self.end_other_rollout(label.number, by);
        let before = Arc::clone(&self.versions.current());
        let replaced = self.store.add(&label, file, || self.versions.publish(Arc::clone(&version)));
        self.store.serves_now(&self.versions);
        self.end_rollout_published(label.number, by);
        self.forget_secrets(&before, &version);
        optimise::serves(self, &version);
        self.tell_serving(&label, replaced, How::Swap, by);
        Ok(replaced)
    }
}
