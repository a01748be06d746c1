//! Memory budget for all bodies that are being received or sent. Without it, many
//! deliberately slow clients could use up all memory.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// Size up to which a body on an HTTP/1.1 connection does not count towards the budget, in bytes.
/// The kernel needs as much memory for each connection anyway.
pub const UNCOUNTED: usize = 64 << 10;

/// Number of bytes that one permit of the semaphore stands for. At most `u32::MAX` permits can be
/// acquired at once, so a permit for each byte would limit a share to 4 GiB.
const UNIT: usize = 1 << 10;

/// Memory budget for bodies.
#[derive(Clone)]
pub struct Buffers {
    room: Arc<Semaphore>,
    limit: usize,
}

/// Part of the memory budget for bodies. It is given back on drop.
#[derive(Default)]
pub(super) struct Share {
    taken: Option<OwnedSemaphorePermit>,
}

impl Buffers {
    /// Creates a budget of `limit` bytes.
    pub fn new(limit: usize) -> Buffers {
        Buffers { room: Arc::new(Semaphore::new(limit / UNIT)), limit }
    }

    /// Returns the used part of the budget, in bytes.
    pub fn used(&self) -> usize {
        (self.limit / UNIT).saturating_sub(self.room.available_permits()) * UNIT
    }

    /// Extends a share to at least `bytes` in total. Fails if too little of the budget is left. A
    /// total of up to `uncounted` bytes takes nothing from the budget.
    pub(super) fn extend(&self, share: &mut Share, bytes: usize, uncounted: usize) -> Result<(), Fault> {
        let has = share.taken.as_ref().map_or(0, |taken| taken.num_permits() * UNIT);
        if bytes <= uncounted.max(has) {
            return Ok(());
        }
        // Rounds up, so that a body of many pieces seldom acquires permits.
        let step = uncounted.max(UNIT);
        let missing = (bytes - has).div_ceil(step) * (step / UNIT);
        let more = u32::try_from(missing).ok();
        let more = more.and_then(|more| Arc::clone(&self.room).try_acquire_many_owned(more).ok());
        let more = more.ok_or(Fault::NoBuffer { limit: self.limit })?;
        match &mut share.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// Returns a share of at least `bytes`. Fails if too little of the budget is left. Up to
    /// `uncounted` bytes take nothing from the budget.
    pub(super) fn share(&self, bytes: usize, uncounted: usize) -> Result<Share, Fault> {
        let mut share = Share::default();
        self.extend(&mut share, bytes, uncounted)?;
        Ok(share)
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, Share, UNCOUNTED};

    #[test]
    fn a_dropped_share_is_free_again() {
        let buffers = Buffers::new(4 * UNCOUNTED);
        let first = buffers.share(2 * UNCOUNTED, UNCOUNTED).unwrap();
        let second = buffers.share(2 * UNCOUNTED, UNCOUNTED).unwrap();
        assert!(buffers.share(UNCOUNTED + 1, UNCOUNTED).is_err());
        assert!(buffers.share(UNCOUNTED, UNCOUNTED).is_ok(), "small ones are not counted");
        drop(first);
        assert!(buffers.share(2 * UNCOUNTED, UNCOUNTED).is_ok());
        drop(second);
        assert_eq!(buffers.used(), 0);
    }

    #[test]
    fn a_share_grows_with_its_body() {
        let buffers = Buffers::new(3 * UNCOUNTED);
        let mut share = Share::default();
        for length in [1, UNCOUNTED, UNCOUNTED + 1, 3 * UNCOUNTED] {
            buffers.extend(&mut share, length, UNCOUNTED).unwrap();
        }
        assert_eq!(buffers.room.available_permits(), 0);
        assert!(buffers.extend(&mut share, 3 * UNCOUNTED + 1, UNCOUNTED).is_err());
        drop(share);
        assert!(buffers.share(3 * UNCOUNTED, UNCOUNTED).is_ok());
    }
}
