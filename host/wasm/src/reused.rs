//! Memory that large responses are copied to, kept from one to the next. What the
//! kernel gives out anew it fills with zeros first, page by page, which takes
//! longer than the copy.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;

use crate::limits::CallLimits;

/// Smaller responses are left to the allocator, which keeps such memory itself.
/// In bytes.
const LARGE: usize = 128 << 10;

/// Larger ones are rare, and would be much to keep. In bytes.
const KEPT_LENGTH_MAX: usize = 4 << 20;

/// How many are kept while no response needs them.
const KEPT: usize = 4;

/// Their lengths are multiples of this, in bytes, as bodies are counted
/// (`--buffer-max`): so nothing has more room than it is counted for.
const STEP: usize = 64 << 10;

/// The memory that is kept.
#[derive(Clone)]
pub(super) struct Reused {
    kept: Arc<Mutex<Vec<Vec<u8>>>>,
    /// How much of it there may be, in bytes.
    max: usize,
}

/// Returns the most memory that is kept, in bytes.
pub fn kept_for_responses(limits: &CallLimits) -> u64 {
    (KEPT * KEPT_LENGTH_MAX).min(limits.response_buffers_max) as u64
}

impl Reused {
    pub(crate) fn new(limits: &CallLimits) -> Reused {
        Reused { kept: Arc::default(), max: kept_for_responses(limits) as usize }
    }

    /// A copy of these bytes.
    pub(super) fn copy(&self, bytes: &[u8]) -> Bytes {
        if !(LARGE..=KEPT_LENGTH_MAX).contains(&bytes.len()) {
            return Bytes::copy_from_slice(bytes);
        }
        let length = bytes.len().next_multiple_of(STEP);
        let mut room = self.take(length).unwrap_or_else(|| Vec::with_capacity(length));
        room.extend_from_slice(bytes);
        Bytes::from_owner(Copied { bytes: room, kept_by: self.clone() })
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

/// A response whose memory is kept when nobody has it any more.
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
    use super::{KEPT, KEPT_LENGTH_MAX, LARGE, Reused, STEP};
    use std::sync::Arc;

    fn reused() -> Reused {
        Reused { kept: Arc::default(), max: KEPT * KEPT_LENGTH_MAX }
    }

    fn kept(reused: &Reused) -> usize {
        reused.kept.lock().unwrap().len()
    }

    #[test]
    fn the_next_response_of_about_the_same_length_has_the_memory_of_the_last() {
        let reused = reused();
        let first = reused.copy(&vec![1; LARGE + 1]);
        let place = first.as_ptr();
        let part = first.slice(1..);
        drop(first);
        assert_eq!((kept(&reused), part.len()), (0, LARGE), "somebody has it");
        drop(part);
        assert_eq!(kept(&reused), 1);
        let second = reused.copy(&vec![2; LARGE + STEP]);
        assert_eq!(second.as_ptr(), place);
        assert_eq!(second, vec![2; LARGE + STEP]);
        assert_eq!(kept(&reused), 0);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
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
    fn no_more_bytes_are_kept_than_bodies_may_have() {
        let reused = Reused { max: 3 * LARGE, ..reused() };
        drop([reused.copy(&vec![1; LARGE]), reused.copy(&vec![1; LARGE]), reused.copy(&vec![1; 2 * LARGE])]);
        assert_eq!(kept(&reused), 2);
    }

    #[test]
    fn no_response_has_much_more_memory_than_it_needs() {
        let reused = reused();
        drop(reused.copy(&vec![1; 2 * LARGE]));
        let smaller = reused.copy(&vec![1; LARGE]);
        assert_eq!(kept(&reused), 1, "it is too large");
        drop(smaller);
        assert_eq!(kept(&reused), 2);
    }
}
