//! Requirements of the configuration for the handler of a site.

use std::path::PathBuf;
use std::sync::Arc;

use host_http::forwarded::Trusted;
use host_wasm::Values;

use crate::rollout::flags::Proof;
use crate::rollout::plan::Plan;
use crate::trial::probe::Probe;

/// Source of a site's handler, its values, and how new versions are proved and rolled out. A reload
/// of the configuration replaces the whole value.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Path of the module file, if the configuration names one. `Swapper::read_file` swaps to its
    /// content.
    pub file: Option<PathBuf>,
    /// Probes that each candidate must pass.
    pub probes: Arc<[Probe]>,
    /// Values that each candidate gets.
    pub values: Arc<Values>,
    /// How each candidate is proved on recent requests.
    pub proof: Proof,
    /// Plan that new versions follow. Without steps, a new version serves all clients at once.
    pub plan: Plan,
    /// Clients that may choose a version during a rollout by the header `x-handler-version`.
    pub pin_from: Arc<[Trusted]>,
}

impl Demand {
    /// Returns the plan that new versions follow; [`None`] if a new version serves all clients at
    /// once.
    pub(super) fn rollout(&self) -> Option<Plan> {
        Some(&self.plan).filter(|plan| !plan.steps.is_off()).cloned()
    }
}
