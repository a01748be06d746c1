//! The folder of ACME while it is open and locked, with the plans that it contains.

use std::path::Path;
use std::time::{Instant, SystemTime};

use tracing::info;

use crate::acme::plan::Plans;
use crate::acme::store::Store;
use crate::config::acme::AcmeFlags;

/// Open and locked folder of ACME, with the plans for its domains.
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) plans: Plans,
}

/// Reason why the folder could not be opened or locked.
pub(super) struct NotOpened {
    pub(super) cause: String,
    /// Whether taking the lock failed, in most cases because another process holds it.
    pub(super) is_locked: bool,
}

impl Kept {
    fn open(flags: &AcmeFlags) -> Result<Kept, NotOpened> {
        let failed = |is_locked: bool| {
            move |error: anyhow::Error| NotOpened { cause: format!("{error:#}"), is_locked }
        };
        let mut store = Store::open(flags).map_err(failed(false))?;
        store.lock().map_err(failed(true))?;
        let plans = Plans::of_saved(store.plans(), (Instant::now(), SystemTime::now()));
        for (domain, failures, cause) in plans.failed() {
            info!(%domain, failures, cause, "orders by ACME have failed before; host cert shows when the next one follows");
        }
        Ok(Kept { store, plans })
    }

    /// Writes the plans to the folder.
    ///
    /// # Errors
    ///
    /// When the file cannot be written.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        self.store.save_plans(&self.plans.saved((Instant::now(), SystemTime::now())))
    }
}

/// Returns the folder that the flags name. Opens and locks it, unless `kept` already contains it.
pub(super) fn opened<'a>(kept: &'a mut Option<Kept>, flags: &AcmeFlags) -> Result<&'a mut Kept, NotOpened> {
    let path = flags.folder();
    if kept.as_ref().map(|kept| kept.store.path()) != path.as_deref().map(Path::new) {
        *kept = None;
    }
    match kept {
        Some(open) => Ok(open),
        closed => Ok(closed.insert(Kept::open(flags)?)),
    }
}
