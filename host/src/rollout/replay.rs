//! Runs the requests of the journal through the current version and through a candidate. Both
//! calls happen now: the recorded answer may come from an older version, and times are
//! comparable only if they are taken together.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_wasm::{HandlerModule, Usage};
use http::{HeaderMap, Method};
use tokio::task::yield_now;

use crate::fault::{Fault, Whose};
use crate::rollout::compare::verdict::{Failed, Outcome, Rules, Verdict, compare};
use crate::rollout::exchange::Exchange;
use crate::rollout::mask::Mask;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::collector::{Case, Collector};
use crate::rollout::report::cost::Cost;
use crate::rollout::report::outcomes::Report;
use crate::trial::exchange::{Answer, call_again};

/// Name of the fault of a call that passes its deadline.
const DEADLINE: &str = "deadline";

/// A call is near the deadline if it takes more than one part in this many of it.
const NEAR_DEADLINE: u32 = 4;

/// Two versions, and how they are compared.
pub struct Replay {
    /// Version that serves.
    pub current: Arc<HandlerModule>,
    /// Version to prove.
    pub candidate: Arc<HandlerModule>,
    /// Rules of the comparison.
    pub rules: Arc<Rules>,
    /// Differences that are accepted.
    pub accept: Accept,
    /// Most examples of each kind and class.
    pub examples: usize,
    /// Longest time.
    pub time: Duration,
}

impl Replay {
    /// Runs the requests one after the other, and reports what came of them. Does not keep
    /// them in memory when they give way in the journal.
    pub async fn run(self, journal: Vec<Weak<Exchange>>) -> Report {
        let end = Instant::now() + self.time;
        // Otherwise each call would need a new instance. A version that serves keeps some already,
        // and a candidate does when it is published; else it is dropped with them.
        self.candidate.set_serving(true);
        let mut collector = Collector::new(self.examples, self.accept.clone());
        let mask = Mask::new(self.current.values(), self.candidate.values());
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
            let exchange = &*exchange;
            let Ok(method) = Method::from_bytes(exchange.method.as_bytes()) else {
                collector.skip("the method is unknown");
                continue;
            };
            // In turns, because the second call finds the caches filled.
            let (current, candidate) = if number % 2 == 0 {
                let current = self.outcome(&self.current, exchange, &method).await;
                (current, self.outcome(&self.candidate, exchange, &method).await)
            } else {
                let candidate = self.outcome(&self.candidate, exchange, &method).await;
                (self.outcome(&self.current, exchange, &method).await, candidate)
            };
            let (Some(mut current), Some(mut candidate)) = (current, candidate) else {
                collector.skip("the server had no instance for it");
                continue;
            };
            let mut verdict = compare(&current, &candidate, &self.rules);
            if matches!(verdict, Verdict::NewlyFaulting { .. }) {
                // A call may fail because the machine is busy. A fault of the version comes again.
                if let Some(again) = self.outcome(&self.candidate, exchange, &method).await {
                    candidate = again;
                    verdict = compare(&current, &candidate, &self.rules);
                }
            }
            if matches!(verdict, Verdict::NewlyFaulting { .. })
                && is_chance(&current, &candidate, &self.candidate)
            {
                collector.skip("it takes near the deadline with both versions");
                continue;
            }
            let costs = (Cost::from(&current), Cost::from(&candidate));
            if verdict != Verdict::Same && mask.is_needed() {
                // The kind of the difference is not affected.
                mask.hide(&mut current, &mut candidate);
                verdict = compare(&current, &candidate, &self.rules);
            }
            let target = mask.text(&exchange.target);
            let class = mask.text(&exchange.class.to_string());
            let case =
                Case { class: &class, method: &exchange.method, target: &target, id: exchange.id.as_str() };
            collector.add(&case, verdict, costs.0, costs.1);
        }
        collector.finish()
    }

    /// Calls a version. [`None`] if the server could not make the call.
    async fn outcome(&self, module: &HandlerModule, exchange: &Exchange, method: &Method) -> Option<Outcome> {
        outcome(call_again(module, &exchange.message, method).await)
    }
}

/// Which of two versions fails a request alone: ends it in a fault, or with a status of 500 or
/// more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alone {
    /// The newer version.
    New,
    /// The older version.
    Old,
}

/// Runs a request again on two versions, the newer one first if `new_first`. Returns which one
/// fails alone, if one does.
pub async fn fails_alone(
    [new, old]: [&HandlerModule; 2],
    exchange: &Exchange,
    new_first: bool,
) -> Option<Alone> {
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
        (true, false) if !is_chance(&old_outcome, &new_outcome, new) => Some(Alone::New),
        (false, true) if !is_chance(&new_outcome, &old_outcome, old) => Some(Alone::Old),
        _ => None,
    }
}

/// Returns whether it is by chance that a version passes the deadline, because the other one is
/// near it, too. The code of a new version is not optimised yet, and takes longer.
fn is_chance(good: &Outcome, failed: &Outcome, module: &HandlerModule) -> bool {
    let deadline = module.limits().deadline;
    failed.fault.as_ref().is_some_and(|fault| fault.name == DEADLINE)
        && good.took.saturating_mul(NEAR_DEADLINE) > deadline
}

/// Returns the outcome of a call. [`None`] if the server could not make it.
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
    use super::outcome;
    use crate::fault::Fault;
    use host_wasm::{CallError, Usage};

    #[test]
    fn a_call_that_the_server_could_not_make_has_no_outcome() {
        let of = |error: CallError| outcome((Err(Fault::Call(error)), Usage::default()));
        assert!(of(CallError::Busy { calls: 2, queue: 2 }).is_none());
        assert!(of(CallError::NoInstance { cause: "no memory".into() }).is_none());
        assert_eq!(of(CallError::Deadline).unwrap().status, 504);
    }
}
