//! Judges a version that was just published, and rolls it back if it fails requests that the
//! version before it answers.
//!
//! A handler is a pure function, so a request that failed can run again on both versions. If
//! only the new version fails again, the change has made something worse. A busy machine may
//! make one of two equal versions miss a deadline, and then each is as likely to be the one. So
//! each such request is a bet against chance, and the evidence of all bets decides
//! ([`Martingale`]). In addition, one such request is enough if the version has failed a large
//! share of what it served.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use http::Method;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::rollout::exchange::Exchange;
use crate::rollout::martingale::Martingale;
use crate::rollout::replay::fails;
use crate::site::activate::{Rejection, Stage};
use crate::site::by::By;
use crate::site::outcome::Outcome;
use crate::site::probation::{Counts, Suspect};
use crate::site::shared::Shared;

/// Evidence that decides. Equal versions reach it with a chance of at most 1 in 200, however
/// often the judge looks (Ville's inequality).
const LIMIT: f64 = 200.0;

/// Chance that the new version is the one that fails, of two that are equally good.
const CHANCE: f64 = 0.5;

/// Fewest requests of which a share is taken.
const SERVED_MIN: u64 = 20;

/// Largest share of failed requests, as one in this many: 5 %.
const FAILED_MAX: u64 = 20;

/// Begins to judge a version that has just replaced another one.
pub(super) fn begin(shared: &Arc<Shared>, number: u64, before: u64) {
    let time = shared.demand().proof.watch_after;
    if time.is_zero() {
        shared.settings.probation.end();
        return;
    }
    let (counts, suspects) = shared.settings.probation.begin(number);
    let judge = Judge {
        shared: Arc::clone(shared),
        number,
        before,
        counts,
        evidence: Martingale::new(),
        facts: HashSet::new(),
        worse: 0,
        better: 0,
    };
    let work = judge.run(suspects, Instant::now() + time, time);
    // Ends with the watch, which the next change ends.
    shared.settings.replays.runtime().spawn(work);
}

/// Judge of one version.
struct Judge {
    shared: Arc<Shared>,
    number: u64,
    /// Number of the version before it.
    before: u64,
    counts: Arc<Counts>,
    evidence: Martingale,
    /// Facts that have counted.
    facts: HashSet<u64>,
    /// Number of requests that only this version fails.
    worse: u64,
    /// Number of requests that only the version before it fails.
    better: u64,
}

impl Judge {
    async fn run(mut self, mut suspects: Receiver<Suspect>, end: Instant, time: Duration) {
        loop {
            match timeout_at(end, suspects.recv()).await {
                Ok(Some(suspect)) => {
                    if let Some(evidence) = self.judge(&suspect).await {
                        return self.roll_back(&suspect.exchange, &evidence).await;
                    }
                }
                // Another version serves.
                Ok(None) => return,
                Err(_) => return self.conclude(time),
            }
        }
    }

    /// Runs a request again on both versions. Returns the evidence if it decides.
    async fn judge(&mut self, suspect: &Suspect) -> Option<String> {
        let Suspect { fact, exchange } = suspect;
        if self.facts.contains(fact) {
            return self.share();
        }
        let (new, old) = {
            let history = self.shared.versions.history();
            (history.find(self.number)?, history.find(self.before)?)
        };
        let (new, old) = (Arc::clone(&new.module), Arc::clone(&old.module));
        let method = Method::from_bytes(exchange.method.as_bytes()).ok()?;
        // In turns, because the second call finds the caches filled.
        let (new_fails, old_fails) = if fact % 2 == 0 {
            let new = fails(&new, exchange, &method).await?;
            (new, fails(&old, exchange, &method).await?)
        } else {
            let old = fails(&old, exchange, &method).await?;
            (fails(&new, exchange, &method).await?, old)
        };
        if new_fails == old_fails {
            return None;
        }
        self.facts.insert(*fact);
        self.evidence.observe(new_fails, CHANCE);
        let count = if new_fails { &mut self.worse } else { &mut self.better };
        *count += 1;
        let (worse, better, evidence) = (self.worse, self.better, self.evidence.evidence());
        if evidence >= LIMIT {
            return Some(format!(
                "{worse} requests fail that version {} answers, and {better} the other way round (evidence \
                 {evidence:.0}, limit {LIMIT:.0})",
                self.before
            ));
        }
        self.share()
    }

    /// Returns the evidence of the share of failed requests, if it decides.
    fn share(&self) -> Option<String> {
        let (served, failed) = (self.counts.served.load(Relaxed), self.counts.failed.load(Relaxed));
        let is_large = served >= SERVED_MIN && failed.saturating_mul(FAILED_MAX) > served;
        (self.worse > self.better && is_large).then(|| {
            format!(
                "{failed} of {served} requests failed, and {} of those that were tried again fail only since \
                 version {}",
                self.worse, self.before
            )
        })
    }

    async fn roll_back(self, exchange: &Exchange, evidence: &str) {
        let Judge { shared, number, before, .. } = self;
        let target = shared.versions.current().module.values().mask(&exchange.target).into_owned();
        let latest = format!("{} {target}", exchange.method);
        let outcome = shared.roll_back(Some(before), Some(number), By::Verdict).await;
        if !matches!(outcome, Outcome::Serving { .. }) {
            return;
        }
        let cause = format!("{evidence}; the latest is {latest}");
        warn!(site = shared.site(), version = number, serving = before, %cause, "a version was worse than the one before it");
        let rejection = Rejection { stage: Stage::Watch, cause, remedy: None, is_passing: false };
        shared.tell_rejected(number, &rejection, before, By::Verdict);
        shared.versions.history().reject(number, rejection);
        shared.left.notify_one();
        shared.save_state_on_thread().await;
    }

    /// Ends the watch of a version that has stood the test.
    fn conclude(self, time: Duration) {
        self.shared.settings.probation.end_of(self.number);
        let (served, failed) = (self.counts.served.load(Relaxed), self.counts.failed.load(Relaxed));
        let time = humantime::format_duration(time).to_string();
        let (site, version, worse) = (self.shared.site(), self.number, self.worse);
        info!(site, version, served, failed, worse, %time, "the version stays: it was watched since it was published");
    }
}
