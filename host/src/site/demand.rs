//! Requirements of the configuration for the handler of a site.

use std::path::PathBuf;
use std::sync::Arc;

use host_http::forwarded::Trusted;
use host_wasm::Values;

use crate::rollout::flags::Proof;
use crate::rollout::plan::Plan;
use crate::trial::probe::Probe;

/// Source of the handler of a site, its values, and how new versions are tested and rolled out. A
/// reload of the configuration replaces all of it.
#[derive(Clone, Debug)]
pub struct Demand {
    /// Path of the module file, if the configuration names one.
    /// [`Swapper::read_file`](crate::site::swapper::Swapper::read_file) swaps to its content.
    pub file: Option<PathBuf>,
    /// Probes that each candidate must pass.
    pub probes: Arc<[Probe]>,
    /// Named values that each candidate gets, such as secrets.
    pub values: Arc<Values>,
    /// How each candidate is tested with recent requests.
    pub proof: Proof,
    /// Rollout plan for new versions. If it has no steps, a new version serves all clients
    /// immediately.
    pub plan: Plan,
    /// Clients that may choose a version during a rollout, by the header field `x-handler-version`.
    pub pin_from: Arc<[Trusted]>,
}

impl Demand {
    /// Returns the rollout plan for new versions; [`None`] if a new version serves all clients
    /// immediately.
    pub(super) fn rollout(&self) -> Option<Plan> {
        Some(&self.plan).filter(|plan| !plan.steps.is_off()).cloned()
    }
}
