//! Replays requests of the journal on the current version and on a candidate, and compares the
//! answers. Calls both versions, because the recorded answer may come from an older version, and
//! because times are comparable only if they are measured under the same conditions.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_wasm::{Handler, Usage};
use http::{HeaderMap, Method};
use tokio::task::yield_now;

use crate::fault::{Fault, Whose};
use crate::rollout::compare::verdict::{Failed, Outcome, Rules, Verdict, compare};
use crate::rollout::exchange::Exchange;
use crate::rollout::judge::Side;
use crate::rollout::mask::Mask;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::collector::{Case, Collector};
use crate::rollout::report::cost::Cost;
use crate::rollout::report::outcomes::Report;
use crate::trial::exchange::{Answer, call_again};

/// Name of the fault of a call that misses its deadline.
const DEADLINE: &str = "deadline";

/// Divisor of the deadline: a call that takes longer than a quarter of the deadline counts as near
/// the deadline.
const NEAR_DEADLINE: u32 = 4;

/// Like [`NEAR_DEADLINE`], for the case that the other version missed the deadline with code that
/// was not optimised yet. Such code may take many times as long.
const NEAR_UNOPTIMISED: u32 = 100;

/// Settings of a replay, which runs requests of the journal on two versions.
pub struct Replay {
    /// Versions to compare.
    pub pair: Pair,
    /// Differences that the operator accepts.
    pub accept: Accept,
    /// Maximum number of examples that the report shows for each kind of difference in each class
    /// of requests.
    pub examples: usize,
    /// Maximum time of the replay. Requests that remain after this time are not compared.
    pub time: Duration,
}

impl Replay {
    /// Runs the requests one after the other, and returns the report. Requests that the journal
    /// evicts in the meantime are freed, and are reported as not compared.
    pub async fn run(self, journal: Vec<Weak<Exchange>>) -> Report {
        let end = Instant::now() + self.time;
        // Otherwise each call would need a new instance. A version that serves keeps some already,
        // and a candidate does when it is published; else it is dropped with them.
        self.pair.candidate.set_serving(true);
        let mut collector = Collector::new(self.examples, self.accept.clone());
        for (number, exchange) in journal.iter().enumerate() {
            // Lets the work be ended, and a deadline of another task pass.
            yield_now().await;
            if Instant::now() >= end {
                collector.skip("there was no time left");
                continue;
            }
            let Some(exchange) = exchange.upgrade() else {
                collector.skip("newer requests took its place");
                continue;
            };
            // In turns, because the second call finds the caches filled.
            let compared = self.pair.compare(&exchange, number % 2 != 0).await;
            match compared {
                Ok(compared) => compared.collect(&exchange, &mut collector),
                Err(why) => collector.skip(why),
            }
        }
        collector.finish()
    }
}

/// Two versions, and the rules by which their answers are compared.
pub struct Pair {
    /// Current version.
    pub current: Handler,
    /// Version that is compared with the current version.
    pub candidate: Handler,
    /// Rules of the comparison.
    pub rules: Arc<Rules>,
    /// Whether the candidate is in a rollout or was published. Then its code may still be
    /// unoptimised, because it is optimised only later.
    pub is_live: bool,
}

/// Result of comparing the answers of two versions to one request.
#[derive(Debug)]
pub struct Compared {
    verdict: Verdict,
    /// Version that failed while the other version did not, if there is one. The current version
    /// counts only if it missed its deadline.
    alone: Option<Side>,
    /// Costs of the calls of the current version and of the candidate.
    costs: [Cost; 2],
    target: String,
    class: String,
}

impl Pair {
    fn near(&self, module: &Handler) -> Duration {
        if self.is_live { near(module) } else { module.limits().deadline / NEAR_DEADLINE }
    }

    /// Runs a request on both versions, on the candidate first if `candidate_first`, and compares
    /// the answers.
    ///
    /// # Errors
    ///
    /// When the method is invalid, when the server has no instance for a call, or when a call may
    /// have missed its deadline only by chance, because the other version took almost as long.
    pub async fn compare(
        &self,
        exchange: &Exchange,
        candidate_first: bool,
    ) -> Result<Compared, &'static str> {
        let Ok(method) = Method::from_bytes(exchange.method.as_bytes()) else {
            return Err("the method is unknown");
        };
        let call = async |module| outcome(call_again(module, &exchange.message, &method).await);
        let (current, candidate) = if candidate_first {
            let candidate = call(&self.candidate).await;
            (call(&self.current).await, candidate)
        } else {
            let current = call(&self.current).await;
            (current, call(&self.candidate).await)
        };
        let (Some(mut current), Some(mut candidate)) = (current, candidate) else {
            return Err("the server had no instance for it");
        };
        let mut verdict = compare(&current, &candidate, &self.rules);
        // A call may fail because the machine is busy. A fault of the version comes again.
        let again = match verdict {
            Verdict::NewlyFaulting { .. } => call(&self.candidate).await.map(|again| candidate = again),
            Verdict::Mended { .. } => call(&self.current).await.map(|again| current = again),
            _ => None,
        };
        if again.is_some() {
            verdict = compare(&current, &candidate, &self.rules);
        }
        let is_chance = match verdict {
            Verdict::NewlyFaulting { .. } => is_chance(&current, &candidate, self.near(&self.candidate)),
            Verdict::Mended { .. } => is_chance(&candidate, &current, self.near(&self.current)),
            _ => false,
        };
        if is_chance {
            return Err("it takes near the deadline with both versions");
        }
        let alone = match verdict {
            Verdict::NewlyFaulting { .. } => Some(Side::New),
            Verdict::Mended { .. } if current.is_late() => Some(Side::Old),
            _ => None,
        };
        let costs = [Cost::from(&current), Cost::from(&candidate)];
        let mask = Mask::new(self.current.values(), self.candidate.values());
        if verdict != Verdict::Same && mask.is_needed() {
            // The kind of the difference is not affected.
            mask.hide(&mut current, &mut candidate);
            verdict = compare(&current, &candidate, &self.rules);
        }
        let (target, class) = (mask.text(&exchange.target), mask.text(&exchange.class.to_string()));
        Ok(Compared { verdict, alone, costs, target, class })
    }
}

impl Compared {
    /// Adds the verdict and the costs of the calls to the collector of a report.
    pub fn collect(self, exchange: &Exchange, collector: &mut Collector) {
        let Compared { verdict, costs: [current, candidate], target, class, .. } = self;
        let (method, id) = (&*exchange.method, exchange.id.as_str());
        collector.add(&Case { class: &class, method, target: &target, id }, verdict, current, candidate);
    }

    /// Returns the version that failed while the other version did not, if there is one. The
    /// current version counts only if it missed its deadline, which may be chance. Its other
    /// failures do not count, because what a candidate fixes must not make up for what it breaks.
    pub fn failing_alone(&self) -> Option<Side> {
        self.alone
    }

    /// Returns the times of the calls with the current version and with the candidate, if both
    /// answered.
    pub fn times(&self) -> Option<[Duration; 2]> {
        let both = matches!(self.verdict, Verdict::Same | Verdict::Different { .. });
        both.then(|| self.costs.map(|cost| cost.took))
    }

    /// Returns the class of the request.
    pub fn class(&self) -> &str {
        &self.class
    }
}

/// Runs a request again on two versions, on the new one first if `new_first`. Returns the version
/// that fails while the other does not, if there is one. A version fails by a fault, or with a
/// status of 500 or above. A missed deadline that may be chance is ignored. The old version counts
/// only if it misses its deadline.
pub async fn fails_alone([new, old]: [&Handler; 2], exchange: &Exchange, new_first: bool) -> Option<Side> {
    let method = Method::from_bytes(exchange.method.as_bytes()).ok()?;
    let call = async |module| outcome(call_again(module, &exchange.message, &method).await);
    let (new_outcome, old_outcome) = if new_first {
        let new = call(new).await;
        (new?, call(old).await?)
    } else {
        let old = call(old).await;
        (call(new).await?, old?)
    };
    match (new_outcome.has_failed(), old_outcome.has_failed()) {
        (true, false) if !is_chance(&old_outcome, &new_outcome, near(new)) => Some(Side::New),
        // What a change mends is no excuse for what it breaks, so only a fault by chance counts.
        (false, true) if old_outcome.is_late() && !is_chance(&new_outcome, &old_outcome, near(old)) => {
            Some(Side::Old)
        }
        _ => None,
    }
}

/// Returns whether a failed call may have missed its deadline by chance. This is assumed if the
/// successful call of the other version took longer than `near`.
fn is_chance(good: &Outcome, failed: &Outcome, near: Duration) -> bool {
    failed.is_late() && good.took > near
}

/// Returns the time above which a successful call counts as near the deadline, if version `module`
/// has missed the deadline. `module` may be in a rollout or published, so its code may be
/// unoptimised.
fn near(module: &Handler) -> Duration {
    let is_optimised = module.unoptimised().is_none();
    module.limits().deadline / if is_optimised { NEAR_DEADLINE } else { NEAR_UNOPTIMISED }
}

impl Outcome {
    /// Returns whether the call missed its deadline.
    fn is_late(&self) -> bool {
        self.fault.as_ref().is_some_and(|fault| fault.name == DEADLINE)
    }
}

/// Returns the outcome of a call; [`None`] if the server could not make the call.
fn outcome((result, usage): (Result<Answer, Fault>, Usage)) -> Option<Outcome> {
    let (took, memory) = (usage.time, usage.memory as u64);
    match result {
        Ok(Answer { status, fields, body, .. }) => {
            Some(Outcome { status: status.as_u16(), fault: None, fields, body, took, memory })
        }
        Err(fault) => {
            let entry = fault.entry();
            let failed = Failed { name: entry.name.into(), cause: fault.to_string() };
            (entry.whose != Whose::Operator).then(|| Outcome {
                status: entry.status.as_u16(),
                fault: Some(failed),
                fields: HeaderMap::new(),
                body: Bytes::new(),
                took,
                memory,
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::outcome;
    use crate::fault::Fault;
    use host_wasm::{CallError, Usage};

    #[test]
    fn a_call_that_the_server_could_not_make_has_no_outcome() {
        let of = |error: CallError| outcome((Err(Fault::Call(error)), Usage::default()));
        assert!(of(CallError::Busy { calls: 2, queue: 2 }).is_none());
        assert!(of(CallError::NoInstance { cause: "no memory".into() }).is_none());
        let late = CallError::Deadline { limit: Duration::from_secs(1), frames: Vec::new() };
        assert_eq!(of(late).unwrap().status, 504);
    }
}
