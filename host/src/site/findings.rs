//! Evidence and report on a version that is being judged.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::rollout::evidence::Evidence;
use crate::rollout::judge::{Judge, Rules};
use crate::rollout::plan::Slower;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::collector::Collector;
use crate::rollout::report::outcomes::Report;

/// Maximum number of examples that the report on a rollout has for each kind of difference and each
/// class of requests.
const EXAMPLES: usize = 5;

/// Evidence and report on a version that is being judged. The [`Judge`] collects the evidence, the
/// [`Collector`] the report.
pub(super) struct Findings(Mutex<(Judge, Collector)>);

impl Findings {
    pub(super) fn new(slower: Slower, accept: Accept) -> Findings {
        let judge = Judge::new(Rules { slower: slower.0 });
        Findings(Mutex::new((judge, Collector::new(EXAMPLES, accept))))
    }

    pub(super) fn evidence(&self) -> Evidence {
        self.lock().0.evidence()
    }

    /// Returns the evidence and the report on the sampled requests, both from the same moment.
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
