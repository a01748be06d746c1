//! Applies a reloaded configuration to a site: the source of its handler, its probes, its values,
//! and how new versions are published. A change is first prepared and then committed, so that the
//! changes of several sites take effect together. Until the commit, the old configuration is in
//! force, and a swap in progress goes on.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use host_wasm::Priority;
use tracing::{info, warn};

use crate::rollout::plan::Plan;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::outcomes::Counts;
use crate::site::activate::{Rejection, Stage, Times, probe};
use crate::site::by::By;
use crate::site::demand::Demand;
use crate::site::outcome::Outcome;
use crate::site::publish::Approved;
use crate::site::shared::Shared;
use crate::site::swap::SUPERSEDED;
use crate::site::version::{Candidate, Label, Origin, Version};

/// Change of one site that is prepared, and can be committed or abandoned.
pub struct Prepared {
    shared: Arc<Shared>,
    /// Number of the newest change (swap, rollback or reload) when the preparation began. The
    /// commit fails if a newer change has begun since.
    seen: u64,
    demand: Demand,
    work: Work,
    by: By,
}

enum Work {
    /// The current version stays. It has passed the new probes.
    Keep {
        number: u64,
        /// SHA-256 of the module that was read for the new configuration, if it names one.
        sha256: Option<String>,
        /// Whether the current version stays because it was ordered after the module file was last
        /// read, and the file has not changed since.
        is_ordered: bool,
        /// Candidate and plan of the rollout in progress, if the candidate already has the bytes of
        /// the module.
        rolling: Option<(Label, Plan)>,
    },
    /// A candidate has passed all stages.
    Replace {
        label: Label,
        version: Box<Version>,
        replayed: Option<Box<Counts>>,
        candidate: Candidate,
        times: Times,
        since: Instant,
    },
}

/// Reason for which a prepared change was not committed.
pub enum NotCommitted {
    /// Another version has become current since the preparation, and has not passed the new probes.
    Outdated,
    /// The change cannot be made. Holds the cause.
    Failed(String),
}

/// Cause of a rejection when another order has already published the same bytes or begun their
/// rollout.
const TWICE: &str = "these bytes were published or rolled out meanwhile";

impl Shared {
    /// Prepares a change, as `Swapper::prepare_reload` describes.
    pub(super) async fn prepare_reload(self: Arc<Self>, demand: Demand, by: By) -> Result<Prepared, String> {
        let seen = self.changes.number();
        // Not a guard, which would keep a replaced version from being freed.
        let version = Arc::clone(&self.versions.current());
        let has_new_values = **version.module.values() != *demand.values;
        let source = match (&demand.file, self.demand().file) {
            (Some(path), _) => Some(Origin::Path(path.clone())),
            (None, Some(_)) => Some(Origin::Embedded),
            (None, None) if has_new_values && version.label.origin == Origin::Embedded => {
                Some(Origin::Embedded)
            }
            // A version that was sent stays: its bytes are not kept.
            (None, None) => {
                if has_new_values {
                    let number = version.label.number;
                    warn!(site = self.site(), version = number, %by, "version {number} was sent, and keeps its values; the next one gets the new ones");
                }
                None
            }
        };
        let mut times = Times::default();
        let read = |source: Origin| {
            let read = times.measure_here(Stage::Read, || source.read(self.settings.module_max));
            let bytes = read.map_err(|error| format!("cannot read {source}: {error}"))?;
            Ok::<_, String>(Candidate::new(source, bytes))
        };
        let candidate = source.map(read).transpose()?;
        let is_ordered = !has_new_values
            && demand.file == self.demand().file
            && candidate.as_ref().is_some_and(|candidate| self.has_been_replaced(candidate, &version));
        let rolling = candidate.as_ref().and_then(|found| self.rolls_out(&found.sha256, &demand.values));
        let work = match candidate {
            Some(candidate)
                if rolling.is_none() && !is_ordered && !version.is_of(&candidate.sha256, &demand.values) =>
            {
                self.prepare_candidate(&demand, candidate, times, by).await?
            }
            candidate => {
                let number = version.label.number;
                let probed = probe(&version, &demand.probes).await;
                probed
                    .map_err(|error| format!("version {number}, which serves, fails the probes: {error}"))?;
                Work::Keep {
                    number,
                    sha256: candidate.map(|candidate| candidate.sha256),
                    is_ordered,
                    rolling,
                }
            }
        };
        Ok(Prepared { shared: self, seen, demand, work, by })
    }

    /// Returns whether an order has replaced the version of the module file by the current version.
    /// If so, the file must not be loaded again. Returns true only if the file has not changed
    /// since it was last read, and its version has served since and was not rejected.
    fn has_been_replaced(&self, file: &Candidate, current: &Version) -> bool {
        current.label.sha256 != file.sha256
            && self.store.has_served(&file.sha256)
            && !self.versions.history().has_rejected(&file.sha256)
    }

    /// Prepares a candidate with the values, probes and gate of the new configuration.
    async fn prepare_candidate(
        self: &Arc<Self>,
        demand: &Demand,
        candidate: Candidate,
        mut times: Times,
        by: By,
    ) -> Result<Work, String> {
        let since = Instant::now();
        let (label, compiled) = {
            let mut history = self.versions.history();
            (history.begin(&candidate), history.compiled(&candidate.sha256))
        };
        let activator = &self.settings.activator;
        let (bytes, priority) = (&candidate.bytes, Priority::Awaited);
        let prepared = async {
            let preparing = activator.prepare(label.clone(), bytes, demand, compiled, priority, &mut times);
            let version = preparing.await?;
            let replayed = self.pass_gate(&version, &demand.proof, &Accept::default(), &mut times).await?;
            Ok((Box::new(version), replayed))
        };
        match prepared.await {
            Ok((version, replayed)) => {
                Ok(Work::Replace { label, version, replayed, candidate, times, since })
            }
            Err(rejection) => Err(self.reject_reloaded(label, rejection, since, &times, by)),
        }
    }

    /// Records and logs that a candidate is rejected, and returns the cause.
    fn reject_reloaded(
        &self,
        label: Label,
        rejection: Rejection,
        since: Instant,
        times: &Times,
        by: By,
    ) -> String {
        let Rejection { stage, cause, remedy, .. } = &rejection;
        let remedy = remedy.as_ref().map(|remedy| format!(" (remedy: {remedy})")).unwrap_or_default();
        let cause = format!("version {} was rejected in stage {stage}: {cause}{remedy}", label.number);
        self.conclude(label, Err(rejection), since, times, by);
        cause
    }

    fn put_in_force(&self, demand: Demand, considered: Option<&str>) {
        self.settings.journal.set(&demand.proof);
        match self.rolling() {
            Some(rollout) => self.pin_from(&rollout, &demand.pin_from),
            None if demand.proof.watch_after.is_zero() => self.settings.probation.end(),
            None => {}
        }
        *self.demand.lock().unwrap_or_else(PoisonError::into_inner) = demand;
        if let Some(sha256) = considered {
            self.store.consider(sha256);
            self.store.serves_now(&self.versions);
        }
    }
}

impl Prepared {
    /// Returns whether no newer swap, rollback or reload has been ordered since the preparation
    /// began.
    pub fn is_newest(&self) -> bool {
        self.shared.changes.number() == self.seen
    }

    /// Makes the change. Returns the outcome; [`None`] if the configuration names no module to
    /// load, or if the current version stays because it was ordered after the module file was last
    /// read.
    ///
    /// # Errors
    ///
    /// When another version has become current since the preparation, or the change cannot be made.
    /// Nothing is changed then.
    pub fn commit(self) -> Result<Option<Outcome>, NotCommitted> {
        let Prepared { shared, seen, demand, work, by } = self;
        match work {
            Work::Keep { number, sha256, is_ordered, rolling } => {
                let put_in_force = || {
                    if shared.versions.current().label.number != number {
                        return Err(NotCommitted::Outdated);
                    }
                    shared.put_in_force(demand, sha256.as_deref());
                    Ok(())
                };
                let done = shared.changes.supersede(seen, put_in_force);
                done.unwrap_or_else(|| Err(NotCommitted::Failed(SUPERSEDED.into())))?;
                if let Some((label, plan)) = rolling {
                    shared.save(|store| store.save_state(&shared.versions));
                    return Ok(Some(shared.rolling_out(label, number, &plan, None)));
                }
                if is_ordered {
                    info!(site = shared.site(), serving = number, %by, "version {number} stays: it was ordered after the module file was read, which has not changed");
                    return Ok(None);
                }
                Ok(sha256.map(|_| {
                    shared.is_unchanged(number, by);
                    Outcome::Unchanged { version: number }
                }))
            }
            Work::Replace { label, version, replayed, candidate, mut times, since } => {
                let publish = || {
                    let considered = candidate.sha256.as_str();
                    let is_current = shared.versions.current().is_of(considered, &demand.values);
                    if is_current || shared.rolls_out(considered, &demand.values).is_some() {
                        return Err(times.rejection(TWICE));
                    }
                    let (file, accept) = (Arc::clone(&candidate.bytes), Accept::default());
                    let (version, plan) = (*version, demand.rollout());
                    let approved = Approved { version, file, plan, accept, if_version: None, by };
                    let published = shared.publish_or_roll_out(approved, &demand, &mut times)?;
                    shared.put_in_force(demand, Some(considered));
                    Ok(published)
                };
                let published = shared.changes.supersede(seen, publish);
                match published.unwrap_or_else(|| Err(times.rejection(SUPERSEDED))) {
                    Ok(published) => {
                        let published = Ok((published, replayed));
                        Ok(Some(shared.conclude(label, published, since, &times, by)))
                    }
                    Err(rejection) => {
                        let is_twice = rejection.cause == TWICE;
                        let cause = shared.reject_reloaded(label, rejection, since, &times, by);
                        Err(if is_twice { NotCommitted::Outdated } else { NotCommitted::Failed(cause) })
                    }
                }
            }
        }
    }

    /// Drops the change, for example because the reload of another site failed. Rejects the
    /// candidate, if there is one, with `cause`.
    pub fn abandon(self, cause: &str) {
        if let Work::Replace { label, times, since, .. } = self.work {
            self.shared.reject_reloaded(label, times.rejection(cause), since, &times, self.by);
        }
    }
}
