//! Compares a module with a version on the requests of the journal. The module is not published.

use std::sync::Arc;
use std::time::Duration;

use host_wasm::Priority;
use http::HeaderName;

use crate::rollout::compare::verdict::Rules;
use crate::rollout::report::accept::Accept;
use crate::rollout::report::outcomes::Report;
use crate::site::activate::{Rejection, Times};
use crate::site::demand::Demand;
use crate::site::shared::Shared;
use crate::site::swap::{GONE, IsGone, until_gone};
use crate::site::version::{Candidate, Origin};

/// Parameters of a comparison of a module with a version.
pub struct Diff {
    /// Name of the module, for messages.
    pub name: String,
    /// Bytes of the module.
    pub bytes: Vec<u8>,
    /// Number of the version to compare with; [`None`] stands for the current version.
    pub against: Option<u64>,
    /// Header fields that may differ, in addition to those that the configuration of the site
    /// names.
    pub ignore_fields: Vec<HeaderName>,
    /// Maximum number of examples that the report shows for each kind of difference in each class
    /// of requests.
    pub examples: usize,
    /// Maximum time of the comparison. Requests that remain after this time are not compared.
    pub time: Duration,
}

/// Reason why a module was not compared. The texts are messages for the client.
pub enum NotCompared {
    /// The module cannot serve.
    Rejected(Rejection),
    /// The site does not keep the version to compare with.
    NotKept(String),
    /// The comparison was not completed: it panicked, or the client disconnected.
    Failed(String),
}

impl Shared {
    /// Compares a module, as [`Swapper::diff`](crate::site::swapper::Swapper::diff) describes.
    pub(super) async fn diff(self: Arc<Self>, diff: Diff, is_gone: IsGone) -> Result<Report, NotCompared> {
        tokio::select! {
            biased;
            () = until_gone(&is_gone) => Err(NotCompared::Failed(GONE.into())),
            compared = self.compare(diff) => compared,
        }
    }

    async fn compare(&self, diff: Diff) -> Result<Report, NotCompared> {
        let Diff { name, bytes, against, ignore_fields, examples, time } = diff;
        let find = |number| self.versions.history().find(number);
        let against = match against {
            Some(number) => {
                Some(find(number).ok_or_else(|| NotCompared::NotKept(self.not_kept(Some(number))))?)
            }
            None => None,
        };
        let candidate = Candidate::new(Origin::Upload(name), bytes);
        let compiled = self.versions.history().compiled(&candidate.sha256);
        let demand = self.demand();
        // The probes are for candidates.
        let unprobed = Demand { probes: Arc::new([]), ..demand };
        let (label, mut times) = (candidate.label(0), Times::default());
        let activator = &self.settings.activator;
        let preparing =
            activator.prepare(label, &candidate.bytes, &unprobed, compiled, Priority::Awaited, &mut times);
        let version = preparing.await.map_err(NotCompared::Rejected)?;
        let mut proof = unprobed.proof;
        let ignore_fields = proof.rules.ignore_fields.iter().cloned().chain(ignore_fields).collect();
        proof.rules = Arc::new(Rules { ignore_fields });
        let replay = self.replay(&version, &proof, Accept::default(), examples, time, against);
        replay.await.map_err(NotCompared::Failed)
    }
}
