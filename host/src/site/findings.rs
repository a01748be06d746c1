//! What was found so far about a version that is judged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::rollout::evidence::Evidence;
use crate::rollout::judge::{Judge, Rules};
use crate::rollout::plan::Slower;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::collector::Collector;
use crate::rollout::report::outcomes::Report;

/// Largest number of examples of each kind of difference and each class of requests in the report
/// on a rollout.
const EXAMPLES: usize = 5;

/// Evidence and report so far about a version that is judged.
pub(super) struct Findings(Mutex<(Judge, Collector)>);

impl Findings {
    pub(super) fn new(slower: Slower, accept: Accept) -> Findings {
        let judge = Judge::new(Rules { slower: slower.0 });
        Findings(Mutex::new((judge, Collector::new(EXAMPLES, accept))))
    }

    pub(super) fn evidence(&self) -> Evidence {
        self.lock().0.evidence()
    }

    /// Returns the evidence, and the report on the sample of requests, both of the same moment.
    pub(super) fn tell(&self) -> (Evidence, Report) {
        let (evidence, collector) = {
            let findings = self.lock();
            (findings.0.evidence(), findings.1.clone())
        };
        (evidence, collector.finish())
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, (Judge, Collector)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
