//! What the configuration asks of a site.

use std::path::PathBuf;
use std::sync::Arc;

use host_http::forwarded::Trusted;
use host_wasm::Values;

use crate::rollout::flags::Proof;
use crate::rollout::plan::Plan;
use crate::trial::probe::Probe;

/// Where the handler comes from, and what it must answer before it serves. A reload of the
/// configuration changes all of it.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Module file, if one is named. `read_file` swaps to its content.
    pub file: Option<PathBuf>,
    /// Probes that each candidate must pass.
    pub probes: Arc<[Probe]>,
    /// Values that each candidate gets.
    pub values: Arc<Values>,
    /// How each candidate is proved on recent requests.
    pub proof: Proof,
    /// Plan that new versions follow.
    pub plan: Plan,
    /// Clients that may choose a version in a rollout.
    pub pin_from: Arc<[Trusted]>,
}

impl Demand {
    /// Returns the plan of a rollout; [`None`] if a new version serves at once.
    pub(super) fn rollout(&self) -> Option<Plan> {
        Some(&self.plan).filter(|plan| !plan.steps.is_off()).cloned()
    }
}
