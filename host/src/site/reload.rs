//! Changes the source of the handler and its probes, when the configuration is reloaded.
//! Until that succeeds, nothing changes, and a swap in progress goes on.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use host_wasm::Priority;

use crate::site::activate::{Stage, Times, probe};
use crate::site::by::By;
use crate::site::outcome::Outcome;
use crate::site::shared::{Demand, Shared};
use crate::site::swap::SUPERSEDED;
use crate::site::version::{Candidate, Origin, Version};

impl Shared {
    /// Changes the source and the probes, as `Swapper::reload` describes.
    pub(super) async fn reload(self: Arc<Self>, demand: Demand, by: By) -> Result<Option<Outcome>, String> {
        let seen = self.changes.number();
        let source = match (&demand.file, self.demand().file) {
            (Some(path), _) => Some(Origin::Path(path.clone())),
            (None, Some(_)) => Some(Origin::Embedded),
            // A version that was sent stays: there is nothing that replaces it.
            (None, None) => None,
        };
        let mut times = Times::default();
        let read = |source: Origin| {
            let read = times.measure_here(Stage::Read, || source.read(self.settings.module_max));
            let bytes = read.map_err(|error| format!("cannot read {source}: {error}"))?;
            Ok::<_, String>(Candidate::new(source, bytes))
        };
        let candidate = source.map(read).transpose()?;
        loop {
            // Not a guard, which would keep a replaced version from being freed.
            let version = Arc::clone(&self.versions.current());
            match candidate {
                Some(candidate) if candidate.sha256 != version.label.sha256 => {
                    return self.replace(seen, demand, candidate, times, by).await.map(Some);
                }
                _ => {}
            }
            let considered = candidate.as_ref().map(|candidate| &*candidate.sha256);
            if self.keep(seen, &version, demand.clone(), considered).await? {
                let unchanged = candidate.map(|_| {
                    self.is_unchanged(version.label.number, by);
                    Outcome::Unchanged { version: version.label.number }
                });
                return Ok(unchanged);
            }
            // A swap that had begun earlier was published meanwhile.
        }
    }

    /// Sends the new probes to the current version, and puts them in force unless another
    /// version has become current. `considered` is the hash of the module file.
    async fn keep(
        &self,
        seen: u64,
        version: &Arc<Version>,
        demand: Demand,
        considered: Option<&str>,
    ) -> Result<bool, String> {
        let number = version.label.number;
        let probed = probe(version, &demand.probes).await;
        probed.map_err(|error| format!("version {number}, which serves, fails the probes: {error}"))?;
        let put_in_force = || {
            if self.versions.current().label.number != number {
                return Err(());
            }
            self.put_in_force(demand, considered);
            Ok(())
        };
        let done = self.changes.supersede(seen, put_in_force).ok_or(SUPERSEDED)?;
        Ok(done.is_ok())
    }

    /// Prepares a candidate with the new probes, and publishes it.
    async fn replace(
        self: &Arc<Self>,
        seen: u64,
        demand: Demand,
        candidate: Candidate,
        mut times: Times,
        by: By,
    ) -> Result<Outcome, String> {
        let since = Instant::now();
        let (label, compiled) = {
            let mut history = self.versions.history();
            (history.begin(&candidate), history.compiled(&candidate.sha256))
        };
        let (bytes, priority) = (&candidate.bytes, Priority::Awaited);
        let activator = &self.settings.activator;
        let prepared =
            activator.prepare(label.clone(), bytes, &demand.probes, compiled, priority, &mut times).await;
        let published = prepared.and_then(|version| {
            let publish = || {
                let replaced = self.publish(version, bytes, None, &mut times)?;
                self.put_in_force(demand, Some(&candidate.sha256));
                Ok(replaced)
            };
            let published = self.changes.supersede(seen, publish);
            published.unwrap_or_else(|| Err(times.rejection(SUPERSEDED)))
        });
        match self.conclude(label, published, since, &times, by) {
            Outcome::Rejected { version, stage, cause, .. } => {
                Err(format!("version {version} was rejected in stage {stage}: {cause}"))
            }
            outcome => Ok(outcome),
        }
    }

    fn put_in_force(&self, demand: Demand, considered: Option<&str>) {
        *self.demand.lock().unwrap_or_else(PoisonError::into_inner) = demand;
        if let Some(sha256) = considered {
            self.store.consider(sha256);
        }
    }
}
