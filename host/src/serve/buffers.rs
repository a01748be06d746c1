//! How much memory all bodies together may take: those that are being read, and
//! those that clients have not taken in yet. A client that is slow on purpose
//! can make a body last; many of them would take all the memory that there is.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::fault::Fault;

/// What a body may take without being counted, in bytes: no more than what a
/// connection costs the kernel anyway.
pub const UNCOUNTED: usize = 64 << 10;

/// The unit that is counted in, in bytes: a semaphore counts up to 32 bits.
const UNIT: usize = 1 << 10;

/// The memory for bodies.
#[derive(Clone)]
pub struct Buffers {
    room: Arc<Semaphore>,
    limit: usize,
}

/// A part of it that is taken, until this is dropped.
#[derive(Default)]
pub(super) struct Share {
    taken: Option<OwnedSemaphorePermit>,
}

impl Buffers {
    /// As much as this, in bytes.
    pub fn new(limit: usize) -> Buffers {
        Buffers { room: Arc::new(Semaphore::new(limit / UNIT)), limit }
    }

    /// Returns how much of it is taken, in bytes.
    pub fn used(&self) -> usize {
        (self.limit / UNIT).saturating_sub(self.room.available_permits()) * UNIT
    }

    /// Makes the share large enough for this many bytes, if there is room.
    pub(super) fn extend(&self, share: &mut Share, bytes: usize) -> Result<(), Fault> {
        let has = share.taken.as_ref().map_or(0, |taken| taken.num_permits() * UNIT);
        if bytes <= UNCOUNTED.max(has) {
            return Ok(());
        }
        // In steps, so that a body of many pieces does not come by here each time.
        let missing = (bytes - has).div_ceil(UNCOUNTED) * (UNCOUNTED / UNIT);
        let more = u32::try_from(missing).ok();
        let more = more.and_then(|more| Arc::clone(&self.room).try_acquire_many_owned(more).ok());
        let more = more.ok_or(Fault::NoBuffer { limit: self.limit })?;
        match &mut share.taken {
            Some(taken) => taken.merge(more),
            none => *none = Some(more),
        }
        Ok(())
    }

    /// The same bytes, which hold their share until nobody has them any more.
    pub(super) fn hold(&self, bytes: Bytes) -> Result<Bytes, Fault> {
        let mut share = Share::default();
        self.extend(&mut share, bytes.len())?;
        match share.taken {
            None => Ok(bytes),
            Some(_) => Ok(Bytes::from_owner(Held { bytes, _share: share })),
        }
    }
}

/// Bytes and their share.
struct Held {
    bytes: Bytes,
    _share: Share,
}

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Buffers, Share, UNCOUNTED};
    use bytes::Bytes;

    #[test]
    fn what_is_held_is_free_again_when_the_last_has_dropped_it() {
        let buffers = Buffers::new(4 * UNCOUNTED);
        let body = |length| Bytes::from(vec![1; length]);
        let first = buffers.hold(body(2 * UNCOUNTED)).unwrap();
        let again = first.clone();
        let second = buffers.hold(body(2 * UNCOUNTED)).unwrap();
        assert!(buffers.hold(body(UNCOUNTED + 1)).is_err());
        assert!(buffers.hold(body(UNCOUNTED)).is_ok(), "small ones are not counted");
        drop(first);
        assert!(buffers.hold(body(UNCOUNTED + 1)).is_err());
        drop(again);
        assert_eq!(buffers.hold(body(2 * UNCOUNTED)).unwrap(), second);
    }

    #[test]
    fn a_share_grows_with_its_body() {
        let buffers = Buffers::new(3 * UNCOUNTED);
        let mut share = Share::default();
        for length in [1, UNCOUNTED, UNCOUNTED + 1, 3 * UNCOUNTED] {
            buffers.extend(&mut share, length).unwrap();
        }
        assert_eq!(buffers.room.available_permits(), 0);
        assert!(buffers.extend(&mut share, 3 * UNCOUNTED + 1).is_err());
        drop(share);
        assert!(buffers.hold(Bytes::from(vec![1; 3 * UNCOUNTED])).is_ok());
    }
}
