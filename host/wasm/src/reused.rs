//! Reuses the memory of responses. Small responses share a block of memory of their thread, so that
//! a request allocates nothing. Buffers of large responses are kept for later ones, because the
//! kernel would zero fresh memory page by page, which takes longer than copying the response.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};

use crate::limits::CallLimits;

/// Maximum length in bytes of a small response, which is copied to a block of memory of its thread.
const SMALL_MAX: usize = 4 << 10;

thread_local! {
    /// Block of memory for small responses, used again from its start once all responses in it are
    /// dropped.
    static SMALL: RefCell<BytesMut> = RefCell::new(BytesMut::with_capacity(SMALL_MAX));
}

/// Minimum length in bytes of a response whose buffer is kept for reuse. For responses between
/// [`SMALL_MAX`] and this length, the allocator itself keeps memory.
const LARGE: usize = 128 << 10;

/// Maximum length in bytes of a response whose buffer is kept for reuse. Longer responses are rare,
/// and their buffers would take much memory.
const KEPT_LENGTH_MAX: usize = 4 << 20;

/// Maximum number of unused buffers that are kept.
const KEPT: usize = 4;

/// Maximum memory of all unused response buffers that are kept, in bytes.
pub const KEPT_MAX: usize = KEPT * KEPT_LENGTH_MAX;

/// Unit in bytes to which the length of a buffer is rounded up. `--buffer-max` counts bodies in the
/// same unit, so that no buffer is larger than what is counted for it.
const STEP: usize = 64 << 10;

/// Unused buffers of large responses, kept for later responses.
#[derive(Clone)]
pub(super) struct Reused {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    /// Maximum size of all unused buffers together, in bytes.
    max: usize,
}

/// Returns the maximum memory of all unused response buffers that are kept, in bytes.
pub fn kept_for_responses(limits: &CallLimits) -> u64 {
    KEPT_MAX.min(limits.response_buffers_max) as u64
}

impl Reused {
    pub(crate) fn new(limits: &CallLimits) -> Reused {
        Reused { kept: Arc::default(), max: kept_for_responses(limits) as usize }
    }

    /// Returns a copy of a response, in reused memory if a buffer fits.
    pub(super) fn copy(&self, bytes: &[u8]) -> Bytes {
        if bytes.len() <= SMALL_MAX {
            return SMALL.with_borrow_mut(|block| {
                block.extend_from_slice(bytes);
                block.split().freeze()
            });
        }
        if !(LARGE..=KEPT_LENGTH_MAX).contains(&bytes.len()) {
            return Bytes::copy_from_slice(bytes);
        }
        let length = bytes.len().next_multiple_of(STEP);
        let mut room = self.take(length).unwrap_or_else(|| Vec::with_capacity(length));
        room.extend_from_slice(bytes);
        Bytes::from_owner(Copied { bytes: room, kept_by: self.clone() })
    }

    /// Frees all unused buffers.
    pub(super) fn clear(&self) {
        let kept = std::mem::take(&mut *self.kept.lock().unwrap_or_else(PoisonError::into_inner));
        // Freeing takes time, so it happens after the lock is released.
        drop(kept);
    }

    fn take(&self, length: usize) -> Option<Vec<u8>> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let place = kept.iter().rposition(|room| room.capacity() == length)?;
        Some(kept.remove(place))
    }

    fn keep(&self, mut room: Vec<u8>) {
        room.clear();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push(room);
        let bytes = |kept: &Vec<Vec<u8>>| kept.iter().map(Vec::capacity).sum::<usize>();
        let mut oldest = Vec::new();
        while kept.len() > KEPT || bytes(&kept) > self.max {
            oldest.push(kept.remove(0));
        }
        drop(kept);
        drop(oldest);
    }
}

/// A response whose buffer is kept for reuse on drop.
struct Copied {
    bytes: Vec<u8>,
    kept_by: Reused,
}

impl AsRef<[u8]> for Copied {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Copied {
    fn drop(&mut self) {
        self.kept_by.keep(std::mem::take(&mut self.bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT, KEPT_LENGTH_MAX, LARGE, Reused, SMALL_MAX, STEP};
    use std::sync::Arc;

    fn reused() -> Reused {
        Reused { kept: Arc::default(), max: KEPT * KEPT_LENGTH_MAX }
    }

    fn kept(reused: &Reused) -> usize {
        reused.kept.lock().unwrap().len()
    }

    #[test]
    fn small_responses_share_a_block_as_long_as_none_is_overwritten() {
        let reused = reused();
        let first = reused.copy(b"first");
        let others: Vec<_> = (0..SMALL_MAX).map(|number| reused.copy(&number.to_le_bytes())).collect();
        assert_eq!(first, &b"first"[..]);
        assert!(others.iter().enumerate().all(|(number, other)| *other == number.to_le_bytes()[..]));
        drop((first, others));
        drop(reused.copy(&[1; SMALL_MAX]));
        let begin = reused.copy(b"again").as_ptr();
        drop(reused.copy(&[1; SMALL_MAX]));
        assert_eq!(reused.copy(b"again").as_ptr(), begin);
    }

    #[test]
    fn a_response_of_about_the_same_length_reuses_the_buffer() {
        let reused = reused();
        let first = reused.copy(&vec![1; LARGE + 1]);
        let place = first.as_ptr();
        let part = first.slice(1..);
        drop(first);
        assert_eq!((kept(&reused), part.len()), (0, LARGE), "still referenced");
        drop(part);
        assert_eq!(kept(&reused), 1);
        let second = reused.copy(&vec![2; LARGE + STEP]);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second, vec![2; LARGE + STEP]);
        assert_eq!(kept(&reused), 0);
    }

    #[test]
    fn the_number_of_unused_buffers_is_bounded() {
        let reused = reused();
        for (length, count) in [(KEPT_LENGTH_MAX + 1, 0), (LARGE - 1, 0), (KEPT_LENGTH_MAX, 1), (LARGE, 2)] {
            drop(reused.copy(&vec![1; length]));
            assert_eq!(kept(&reused), count, "{length} bytes");
        }
        let responses: Vec<_> = (0..2 * KEPT).map(|_| reused.copy(&vec![1; LARGE])).collect();
        drop(responses);
        assert_eq!(kept(&reused), KEPT);
    }

    #[test]
    fn the_bytes_of_unused_buffers_are_bounded() {
        let reused = Reused { max: 3 * LARGE, ..reused() };
        drop([reused.copy(&vec![1; LARGE]), reused.copy(&vec![1; LARGE]), reused.copy(&vec![1; 2 * LARGE])]);
        assert_eq!(kept(&reused), 2);
    }

    #[test]
    fn a_response_does_not_reuse_a_larger_buffer() {
        let reused = reused();
        drop(reused.copy(&vec![1; 2 * LARGE]));
        let smaller = reused.copy(&vec![1; LARGE]);
        assert_eq!(kept(&reused), 1, "not reused, because it is larger");
        drop(smaller);
        assert_eq!(kept(&reused), 2);
    }
}
