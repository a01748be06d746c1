//! Tests a candidate with the requests of the journal before the candidate serves.

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;

use crate::rollout::flags::{Gate, Proof};
use crate::rollout::replay::{Pair, Replay};
use crate::rollout::report::accept::Accept;
use crate::rollout::report::outcomes::{Counts, Report};
use crate::site::activate::{Rejection, Stage, Times};
use crate::site::replayed::Replayed;
use crate::site::shared::Shared;
use crate::site::version::Version;

/// Maximum number of unused patterns (`--accept`) that the cause of a rejection lists.
const UNUSED_MAX: usize = 3;

/// Maximum number of examples that a replay remembers for each kind of difference and each class of
/// requests.
const EXAMPLES: usize = 3;

impl Shared {
    /// Runs the requests of the journal again on the current version and on a candidate. Fails with
    /// a rejection if the responses of the candidate do not satisfy `proof.gate`. Returns the
    /// number of requests for each result; [`None`] if the gate is off or the journal is empty.
    pub(super) async fn pass_gate(
        &self,
        version: &Version,
        proof: &Proof,
        accept: &Accept,
        times: &mut Times,
    ) -> Result<Option<Box<Counts>>, Rejection> {
        if proof.gate == Gate::Off || self.settings.journal.all_within(proof).is_empty() {
            return Ok(None);
        }
        let against = self.versions.current().label.number;
        let replay = self.replay(version, proof, accept.clone(), EXAMPLES, proof.time, None);
        let report = times.measure(Stage::Replay, replay).await.map_err(|cause| times.rejection(cause))?;
        self.versions.history().replayed(version.label.number, report.counts);
        let fails = match proof.gate {
            Gate::Off => false,
            Gate::Faults => report.newly_faulting() > 0,
            Gate::Same => !report.is_same() || report.compared() == 0,
        };
        let replayed = Replayed::new(version.label.number, against, !fails, report.clone());
        *self.replayed() = Some(Arc::new(replayed));
        if fails {
            let remedy = match proof.gate {
                Gate::Same if report.newly_faulting() == 0 => {
                    "host diff FILE (POST /v1/diff) shows the differences; a swap or a rollout with --accept PATTERN \
                     (?accept=PATTERN) takes those that are meant"
                }
                _ => {
                    "host diff FILE (POST /v1/diff) shows the failures; a swap or a rollout with --accept-all \
                     (?accept-all=true) takes it all the same"
                }
            };
            return Err(Rejection {
                remedy: Some(remedy.into()),
                is_passing: report.compared() == 0,
                ..times.rejection(refusal(&report, proof.gate))
            });
        }
        Ok(Some(Box::new(report.counts)))
    }

    /// Runs the requests of the journal again on a candidate and on `against`, by default the
    /// current version, and compares the responses.
    ///
    /// # Errors
    ///
    /// When the replay panics, or the server is shutting down.
    pub(super) async fn replay(
        &self,
        candidate: &Version,
        proof: &Proof,
        accept: Accept,
        examples: usize,
        time: Duration,
        against: Option<Arc<Version>>,
    ) -> Result<Report, String> {
        let journal = self.settings.journal.all_within(proof).iter().map(Arc::downgrade).collect();
        let current =
            against.map_or_else(|| self.versions.current().module.clone(), |version| version.module.clone());
        debug!(site = self.site(), "recent requests are tried on {}", candidate.label);
        let (candidate, rules) = (candidate.module.clone(), Arc::clone(&proof.rules));
        let pair = Pair { current, candidate, rules, is_live: false };
        let replay = Replay { pair, accept, examples, time };
        self.settings.replays.run_while_wanted(replay.run(journal)).await
    }
}

/// Returns the cause for rejecting a candidate that does not pass the gate.
fn refusal(report: &Report, gate: Gate) -> String {
    let mut unused: Vec<_> = report.accepted.iter().filter(|accepted| accepted.count == 0).collect();
    unused.truncate(UNUSED_MAX);
    let unused = unused.iter().map(|accepted| format!(" ({} accepts no difference)", accepted.pattern));
    cause(report, gate) + &unused.collect::<String>()
}

fn cause(report: &Report, gate: Gate) -> String {
    let Counts { different, newly_faulting, mended, another_fault, .. } = report.counts;
    let first = report.first_difference().unwrap_or("a request");
    let (tried, all) = (report.compared(), report.requests);
    let of = if tried == all { format!("{all}") } else { format!("{tried} tried of {all}") };
    match gate {
        Gate::Same if tried == 0 => {
            format!("none of {all} recent requests could be tried in time (--gate-time, --gate same)")
        }
        Gate::Same => {
            let differ = different + newly_faulting + mended + another_fault;
            format!(
                "{differ} of {of} recent requests are answered in another way (--gate same); the first is {first}"
            )
        }
        _ => format!(
            "{newly_faulting} of {of} recent requests fail that the current version answers; the first is {first}"
        ),
    }
}
