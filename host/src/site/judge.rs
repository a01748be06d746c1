//! Judges a version that was just published, and rolls it back if it fails requests that the
//! version before it answers.
//!
//! A handler is a pure function, so a request that failed can run again on both versions. If
//! only the new version fails again, the change has made something worse. A busy machine may
//! make one of two equal versions miss a deadline, and then each is as likely to be the one. So
//! each such request is a bet against chance, and the evidence of all bets decides
//! ([`Martingale`]). In addition, a few such requests are enough if the version has failed a
//! large share of what it served.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, timeout_at};
use tracing::{info, warn};

use crate::rollout::exchange::Exchange;
use crate::rollout::martingale::Martingale;
use crate::rollout::replay::{Alone, fails_alone};
use crate::site::activate::{Rejection, Stage};
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

/// Largest share of requests that fail only with the new version, as one in this many: 5 %.
const FAILED_MAX: u64 = 20;

/// Fewest requests that have to fail only with the new version for that.
const WORSE_MIN: u64 = 3;

/// Most times that the same request of the same client is run again.
const AGAIN_MAX: u8 = 3;

/// Most facts that are remembered.
const FACTS_MAX: usize = 10_000;

/// Begins to judge a version that has just replaced another one, for this time.
pub(super) fn begin(shared: &Arc<Shared>, number: u64, before: u64, time: Duration) {
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
        facts: HashMap::new(),
        tried: 0,
        worse_tried: 0,
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
    /// How often each fact was tried.
    facts: HashMap<u64, u8>,
    /// Number of calls that were made again, and of those that failed only with this version.
    tried: u64,
    worse_tried: u64,
    /// Number of different requests that only this version fails.
    worse: u64,
    /// Number of different requests that only the version before it fails.
    better: u64,
}

impl Judge {
    async fn run(mut self, mut suspects: Receiver<Suspect>, end: Instant, time: Duration) {
        // While requests wait, `timeout_at` would not look at the time.
        while Instant::now() < end {
            match timeout_at(end, suspects.recv()).await {
                Ok(Some(suspect)) => {
                    if let Some(evidence) = self.judge(&suspect).await {
                        return self.roll_back(&suspect.exchange, &evidence).await;
                    }
                }
                // Another version serves.
                Ok(None) => return,
                Err(_) => break,
            }
        }
        self.conclude(time);
    }

    /// Runs a request again on both versions. Returns the evidence if it decides.
    async fn judge(&mut self, suspect: &Suspect) -> Option<String> {
        let Suspect { fact, exchange } = suspect;
        if self.facts.len() >= FACTS_MAX {
            self.facts.clear();
        }
        let times = self.facts.entry(*fact).or_default();
        if *times >= AGAIN_MAX {
            return self.share();
        }
        *times += 1;
        let is_new = *times == 1;
        let (new, old) = {
            let history = self.shared.versions.history();
            (history.find(self.number)?, history.find(self.before)?)
        };
        let (new, old) = (Arc::clone(&new.module), Arc::clone(&old.module));
        // In turns, because the second call finds the caches filled.
        let alone = fails_alone([&new, &old], exchange, self.tried.is_multiple_of(2)).await;
        self.tried += 1;
        self.worse_tried += u64::from(alone == Some(Alone::New));
        let new_fails = alone? == Alone::New;
        if is_new {
            self.evidence.observe(new_fails, CHANCE);
            let count = if new_fails { &mut self.worse } else { &mut self.better };
            *count += 1;
        }
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

    /// Returns the evidence of the share of requests that fail only with this version, if it
    /// decides. Of the failed requests, as many are taken to be such as of those that were run
    /// again.
    fn share(&self) -> Option<String> {
        let (served, failed) = (self.counts.served.load(Relaxed), self.counts.failed.load(Relaxed));
        let worse = failed.saturating_mul(self.worse_tried) / self.tried.max(1);
        let is_large = served >= SERVED_MIN && worse.saturating_mul(FAILED_MAX) > served;
        (self.better == 0 && self.worse_tried >= WORSE_MIN && is_large).then(|| {
            format!(
                "{failed} of {served} requests failed, and {} of {} that were run again do so only since version {}",
                self.worse_tried, self.tried, self.number
            )
        })
    }

    async fn roll_back(self, exchange: &Exchange, evidence: &str) {
        let Judge { shared, number, before, .. } = self;
        let target = {
            let history = shared.versions.history();
            let versions = [number, before].into_iter().filter_map(|number| history.find(number));
            versions.fold(exchange.target.to_string(), |target, version| {
                version.module.values().mask(&target).into_owned()
            })
        };
        let cause = format!("{evidence}; the latest is {} {target}", exchange.method);
        let logged = cause.clone();
        let rejection = Rejection { stage: Stage::Watch, cause, remedy: None, is_passing: false };
        let outcome = shared.undo(before, number, rejection).await;
        if matches!(outcome, Outcome::Serving { .. }) {
            warn!(site = shared.site(), version = number, serving = before, cause = %logged, "a version was worse than the one before it");
        }
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
