//! Progress of a rollout: which phase it is in, and when the next one begins.

use std::time::{Duration, Instant};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::plan::Plan;

/// Interval at which a step checks whether the candidate has answered enough requests.
const LOOK: Duration = Duration::from_millis(100);

/// Phase of a rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// The candidate gets copies of requests, and answers no client.
    Shadow,
    /// The candidate answers a share of the clients.
    Step {
        /// Number of the step, counted from 0.
        step: usize,
    },
}

/// Reason for which a rollout is halted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Halt {
    /// An operator has paused the rollout.
    Paused,
    /// The rollout waits for an operator: the candidate got too few requests, or could not be
    /// published.
    Stopped,
}

/// Progress of a rollout.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// Current phase.
    pub phase: Phase,
    /// Reason why the rollout is halted; [`None`] if it is not.
    pub halt: Option<Halt>,
    /// Time at which the phase began or was last resumed.
    since: Instant,
    /// Number of requests that the candidate had answered in all phases when the current phase
    /// began or was last resumed.
    served_before: u64,
}

/// What a rollout has to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Stay in the phase. Contains the time of the next check; [`None`] if the rollout is halted
    /// and waits for an operator.
    Wait(Option<Instant>),
    /// Begin this phase.
    Phase(Phase),
    /// Stop the rollout, because the candidate got too few requests.
    Stop,
    /// Finish the rollout, because its last phase is over.
    Finish,
}

impl Progress {
    /// Creates the progress of a rollout whose first phase begins at `now`.
    pub fn new(plan: &Plan, now: Instant) -> Progress {
        let phase = if plan.shadow.is_zero() { Phase::Step { step: 0 } } else { Phase::Shadow };
        Progress { phase, halt: None, since: now, served_before: 0 }
    }

    /// Begins a phase. `served` is the number of requests that the candidate has answered in all
    /// phases.
    pub fn enter(&mut self, phase: Phase, now: Instant, served: u64) {
        *self = Progress { phase, halt: None, since: now, served_before: served };
    }

    /// Restarts the current phase after a halt. `served` is the number of requests that the
    /// candidate has answered in all phases.
    pub fn resume(&mut self, now: Instant, served: u64) {
        self.enter(self.phase, now, served);
    }

    /// Returns the time since the phase began or was last resumed.
    pub fn elapsed(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.since)
    }

    /// Returns how many requests the candidate has answered in the current phase. `served` is the
    /// number in all phases.
    pub fn served(&self, served: u64) -> u64 {
        served.saturating_sub(self.served_before)
    }

    /// Returns what the rollout has to do at the time `now`. `served` is the number of requests
    /// that the candidate has answered in all phases.
    pub fn next(&self, plan: &Plan, now: Instant, served: u64) -> Next {
        if self.halt.is_some() {
            return Next::Wait(None);
        }
        let time = if self.phase == Phase::Shadow { plan.shadow } else { plan.hold };
        let end = self.since + time;
        if now < end {
            return Next::Wait(Some(end));
        }
        let Phase::Step { step } = self.phase else {
            return if plan.steps.is_off() { Next::Finish } else { Next::Phase(Phase::Step { step: 0 }) };
        };
        if self.served(served) >= plan.requests {
            let next = step + 1;
            let is_last = next >= plan.steps.shares().len();
            return if is_last { Next::Finish } else { Next::Phase(Phase::Step { step: next }) };
        }
        let last = end + plan.wait;
        if now < last { Next::Wait(Some(last.min(now + LOOK))) } else { Next::Stop }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Halt, LOOK, Next, Phase, Progress};
    use crate::rollout::plan::{self, Plan};

    const STEP: [Phase; 2] = [Phase::Step { step: 0 }, Phase::Step { step: 1 }];

    fn plan() -> Plan {
        let (shadow, wait) = (Duration::from_secs(5), Duration::from_secs(60));
        Plan { shadow, wait, ..plan::tests::plan() }
    }

    #[test]
    fn phases_follow_each_other() {
        let (plan, start) = (plan(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(&plan, start);
        assert_eq!(progress.phase, Phase::Shadow);
        assert_eq!(progress.next(&plan, at(4), 0), Next::Wait(Some(at(5))));
        assert_eq!(progress.next(&plan, at(5), 0), Next::Phase(STEP[0]));
        progress.enter(STEP[0], at(5), 0);
        assert_eq!(progress.next(&plan, at(34), 1000), Next::Wait(Some(at(35))));
        assert_eq!(progress.next(&plan, at(35), 100), Next::Phase(STEP[1]));
        progress.enter(STEP[1], at(35), 100);
        assert_eq!(progress.next(&plan, at(65), 200), Next::Finish);
        let without = Plan { shadow: Duration::ZERO, ..plan.clone() };
        assert_eq!(Progress::new(&without, start).phase, STEP[0]);
        let only = Plan { steps: "off".parse().unwrap(), ..plan };
        assert_eq!(Progress::new(&only, start).next(&only, at(5), 0), Next::Finish);
    }

    #[test]
    fn a_step_waits_for_requests_and_then_stops() {
        let (plan, start) = (plan(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut progress = Progress::new(&plan, start);
        progress.enter(STEP[0], start, 7);
        assert_eq!(progress.next(&plan, at(30), 106), Next::Wait(Some(at(30) + LOOK)));
        assert_eq!(progress.next(&plan, at(90) - LOOK / 2, 106), Next::Wait(Some(at(90))));
        assert_eq!(progress.next(&plan, at(90), 106), Next::Stop);
        assert_eq!(progress.next(&plan, at(90), 107), Next::Phase(STEP[1]));
        progress.halt = Some(Halt::Stopped);
        assert_eq!(progress.next(&plan, at(1000), 1000), Next::Wait(None));
        progress.resume(at(1000), 1000);
        assert_eq!(progress.next(&plan, at(1029), 1100), Next::Wait(Some(at(1030))));
        assert_eq!(progress.next(&plan, at(1030), 1100), Next::Phase(STEP[1]));
    }
}
