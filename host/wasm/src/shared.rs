//! Machine code for use by other versions and sites.

use std::sync::{Arc, Weak};

/// Code, and the file that is still to be optimised.
type Found<C> = (Arc<C>, Option<Arc<[u8]>>);

/// Machine code with the file that is still to be optimised. Does not keep them in memory once no
/// version uses them any more.
pub(crate) struct Shared<C> {
    code: Weak<C>,
    unoptimised: Option<Weak<[u8]>>,
}

impl<C> Shared<C> {
    pub(crate) fn new(code: &Arc<C>, unoptimised: Option<&Arc<[u8]>>) -> Shared<C> {
        Shared { code: Arc::downgrade(code), unoptimised: unoptimised.map(Arc::downgrade) }
    }

    /// Returns the code and the file that is still to be optimised; [`None`] if no version uses the
    /// code any more.
    pub(crate) fn get(&self) -> Option<Found<C>> {
        let code = self.code.upgrade()?;
        let unoptimised = match &self.unoptimised {
            Some(file) => Some(file.upgrade()?),
            None => None,
        };
        Some((code, unoptimised))
    }

    /// Returns whether a version uses the code.
    pub(crate) fn is_used(&self) -> bool {
        self.code.strong_count() > 0
    }

    /// Returns whether the code is optimised.
    pub(crate) fn is_optimised(&self) -> bool {
        self.unoptimised.is_none()
    }
}

impl<C> Clone for Shared<C> {
    fn clone(&self) -> Shared<C> {
        Shared { code: Weak::clone(&self.code), unoptimised: self.unoptimised.clone() }
    }
}
