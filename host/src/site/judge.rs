//! Judges a version while it answers requests: the candidate of a rollout, or a version that was
//! just published.
//!
//! The judge runs requests again on the judged version and on the version before it: those that
//! failed, and a sample of all. It can do so because a handler is a pure function of the request.
//! The results are the evidence for or against the judged version.

use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use host_wasm::Handler;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::rollout::compare::verdict;
use crate::rollout::evidence::Reason;
use crate::rollout::exchange::Exchange;
use crate::rollout::judge::Side;
use crate::rollout::replay::{Pair, fails_alone};
use crate::rollout::report::accept::Accept;
use crate::site::activate::{Rejection, Stage};
use crate::site::demand::Demand;
use crate::site::findings::Findings;
use crate::site::outcome::Outcome;
use crate::site::probation::{Copied, Counts, Seen, Watched};
use crate::site::shared::Shared;
use crate::site::version::Version;
use crate::telemetry::request_line;

/// Maximum duration of one call of [`LiveJudge::judge`] that has no end time.
const LONGEST: Duration = Duration::from_secs(3600);

/// Judge of a version that answers requests: compares it with the version before it.
pub(super) struct LiveJudge {
    shared: Arc<Shared>,
    watched: Watched,
    seen: Seen,
    findings: Arc<Findings>,
    rules: Arc<verdict::Rules>,
    /// Decides at random which version runs a request first.
    order: RandomState,
    calls: u64,
    /// Method and target of the latest request that failed only on the judged version, as text.
    latest: Option<String>,
}

/// Reason why [`LiveJudge::judge`] returned.
pub(super) enum Judged {
    /// The judged version is worse than the version before it. Holds the evidence as text.
    Worse(String),
    /// The end time has passed, or the rollout has changed.
    Woken,
    /// The watch of the judged version has ended, for example because of a rollback.
    Ended,
}

impl LiveJudge {
    pub(super) fn new(
        shared: &Arc<Shared>,
        watched: Watched,
        seen: Seen,
        findings: Arc<Findings>,
    ) -> LiveJudge {
        let rules = Arc::clone(&shared.demand().proof.rules);
        let (shared, order) = (Arc::clone(shared), RandomState::new());
        LiveJudge { shared, watched, seen, findings, rules, order, calls: 0, latest: None }
    }

    /// Judges requests until the time `until`, until `changed` is notified, until the watch ends,
    /// or until the judged version is found worse.
    pub(super) async fn judge(&mut self, until: Option<Instant>, changed: &Notify) -> Judged {
        let until = until.unwrap_or_else(|| Instant::now() + LONGEST);
        // While requests wait, the select would not look at the time.
        while Instant::now() < until {
            // At random, so that neither queue starves the other.
            let (copied, has_failed) = tokio::select! {
                () = changed.notified() => return Judged::Woken,
                copied = self.seen.suspects.recv() => (copied, true),
                copied = self.seen.samples.recv() => (copied, false),
                () = sleep_until(until) => return Judged::Woken,
            };
            let Some(copied) = copied.filter(|_| self.is_watching()) else { return Judged::Ended };
            self.seen.counts.taken(&copied);
            if let Some(evidence) = self.run_again(copied, has_failed).await {
                return Judged::Worse(evidence);
            }
        }
        Judged::Woken
    }

    /// Returns whether the watch is still in progress. The queues may hold requests even after the
    /// watch has ended.
    fn is_watching(&self) -> bool {
        self.shared.settings.probation.is_watching(&self.seen.counts)
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.seen.counts
    }

    /// Runs a request again on both versions. Returns the evidence as text if the judged version is
    /// now found worse.
    async fn run_again(&mut self, copied: Copied, has_failed: bool) -> Option<String> {
        let Copied { fact, exchange, .. } = copied;
        let (new, old) = (self.module(self.watched.new)?, self.module(self.watched.old)?);
        self.calls += 1;
        let new_first = self.order.hash_one(self.calls).is_multiple_of(2);
        let alone = if has_failed {
            self.run_failed(fact, &exchange, [&new, &old], new_first).await
        } else {
            self.run_sample(fact, &exchange, [new, old], new_first).await
        };
        let is_shown = !self.shared.settings.journal.leaves_out(&exchange.method, &exchange.target);
        if alone == Some(Side::New) && is_shown {
            self.latest = Some(format!("{} {}", exchange.method, request_line::target(&exchange.target)));
        }
        let (served, failed) = (self.counts().served.load(Relaxed), self.counts().failed.load(Relaxed));
        let reason = self.findings.lock().0.worse(served, failed)?;
        let Watched { new, old, .. } = self.watched;
        let text = match (&reason, &self.latest) {
            (Reason::Times { .. }, _) | (_, None) => reason.text(old, new),
            (_, Some(latest)) => format!("{}; the latest is {latest}", reason.text(old, new)),
        };
        Some(self.shared.masked([new, old], &text))
    }

    /// Runs a failed request again on both versions. Returns the version on which the request
    /// fails, if it fails on only one.
    async fn run_failed(
        &self,
        fact: u64,
        exchange: &Exchange,
        modules: [&Handler; 2],
        new_first: bool,
    ) -> Option<Side> {
        if !self.findings.lock().0.wants(fact) {
            return None;
        }
        let alone = fails_alone(modules, exchange, new_first).await;
        self.findings.lock().0.failure(fact, alone);
        alone
    }

    /// Runs a sampled request again on both versions. Returns the version on which the request
    /// fails, if it fails on only one.
    async fn run_sample(
        &self,
        fact: u64,
        exchange: &Exchange,
        [new, old]: [Handler; 2],
        new_first: bool,
    ) -> Option<Side> {
        if self.shared.settings.journal.leaves_out(&exchange.method, &exchange.target) {
            return None;
        }
        // New code is not optimised yet, and takes longer.
        let is_fair = [&new, &old].iter().all(|module| module.unoptimised().is_none());
        let pair = Pair { current: old, candidate: new, rules: Arc::clone(&self.rules), is_live: true };
        let compared = pair.compare(exchange, new_first).await;
        let mut findings = self.findings.lock();
        let (judge, collector) = &mut *findings;
        match compared {
            Ok(compared) => {
                let alone = compared.failing_alone();
                judge.sample(fact, alone);
                if let Some([old, new]) = compared.times().filter(|_| is_fair) {
                    judge.time(fact, compared.class(), old, new);
                }
                compared.collect(exchange, collector);
                alone
            }
            Err(why) => {
                collector.skip(why);
                None
            }
        }
    }

    /// Sets whether the old version keeps idle instances. Has no effect on a version that serves,
    /// because such a version always keeps them.
    fn keep_instances(&self, keep: bool) {
        let versions = &self.shared.versions;
        if let Some(old) = self.module(self.watched.old)
            && (keep || versions.current().label.number != self.watched.old)
        {
            old.set_serving(keep);
        }
    }

    fn module(&self, number: u64) -> Option<Handler> {
        let history = self.shared.versions.history();
        let version = history.find(number).or_else(|| history.candidate(number))?;
        Some(version.module.clone())
    }
}

impl Shared {
    /// Masks the secrets of these versions in a text.
    fn masked(&self, numbers: [u64; 2], text: &str) -> String {
        let history = self.versions.history();
        let find = |number| history.find(number).or_else(|| history.candidate(number));
        let mask = |text: String, version: Arc<Version>| version.module.values().mask(&text).into_owned();
        numbers.into_iter().filter_map(find).fold(text.to_owned(), mask)
    }
}

/// Starts to judge version `number`, which has just replaced version `before`, for the time
/// `--watch-after`. If that time is 0, only ends the watch in progress.
pub(super) fn begin(shared: &Arc<Shared>, number: u64, before: u64, demand: &Demand) {
    let time = demand.proof.watch_after;
    if time.is_zero() {
        shared.settings.probation.end();
        return;
    }
    let watched = Watched { new: number, old: before, share: demand.plan.percent };
    let seen = shared.settings.probation.begin(watched);
    let findings = Arc::new(Findings::new(demand.plan.slower, Accept::default()));
    let judge = LiveJudge::new(shared, watched, seen, findings);
    // Ends with the watch, which the next change ends.
    shared.settings.replays.runtime().spawn(watch(judge, time));
}

async fn watch(mut judge: LiveJudge, time: Duration) {
    let end = Instant::now() + time;
    // Otherwise each call of the version before would need a new instance, and take longer.
    judge.keep_instances(true);
    let judged = loop {
        match judge.judge(Some(end), &Notify::new()).await {
            Judged::Woken if Instant::now() < end => {}
            judged => break judged,
        }
    };
    match judged {
        Judged::Worse(evidence) => roll_back(&judge, evidence).await,
        Judged::Woken => conclude(&judge, time),
        Judged::Ended => {}
    }
    judge.keep_instances(false);
}

async fn roll_back(judge: &LiveJudge, cause: String) {
    let LiveJudge { shared, watched: Watched { new, old, .. }, .. } = judge;
    let logged = cause.clone();
    let rejection = Rejection { stage: Stage::Watch, cause, remedy: None, is_passing: false };
    let outcome = shared.undo(*old, *new, &judge.seen.counts, rejection).await;
    if matches!(outcome, Outcome::Serving { .. }) {
        warn!(site = shared.site(), version = new, serving = old, cause = %logged, "a version was worse than the one before it");
    }
}

/// Ends the watch of a version that was not found worse within `time`, and logs that the version
/// stays.
fn conclude(judge: &LiveJudge, time: Duration) {
    let LiveJudge { shared, watched, findings, .. } = judge;
    shared.settings.probation.end_of(watched.new);
    let (served, failed) = (judge.counts().served.load(Relaxed), judge.counts().failed.load(Relaxed));
    let time = humantime::format_duration(time).to_string();
    let (site, version, worse) = (shared.site(), watched.new, findings.evidence().worse);
    info!(site, version, served, failed, worse, %time, "the version stays: it was watched since it was published");
}
