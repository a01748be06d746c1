//! Folder of ACME while it is open and its lock is held, with the plans in it.

use std::path::Path;
use std::time::{Instant, SystemTime};

use tracing::info;

use crate::acme::plan::Plans;
use crate::acme::store::Store;
use crate::config::acme::AcmeFlags;

/// Folder that is open, and the plans in it.
pub(super) struct Kept {
    pub(super) store: Store,
    pub(super) plans: Plans,
}

/// Why the folder is not open.
pub(super) struct NotOpened {
    pub(super) cause: String,
    /// Whether another process may have its lock.
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

    /// Writes the plans.
    ///
    /// # Errors
    ///
    /// Why they cannot be written.
    pub(super) fn save(&self) -> anyhow::Result<()> {
        self.store.save_plans(&self.plans.saved((Instant::now(), SystemTime::now())))
    }
}

/// Opens the folder that the flags name, unless it is open, and takes its lock.
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
