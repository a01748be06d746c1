//! Ring buffer of the latest events of one kind, bounded in number and in bytes.

use std::collections::VecDeque;

use bytes::Bytes;

/// Maximum number of bytes of all events in a ring. An event that is longer is kept as the only one
/// in the ring.
pub const BYTES_MAX: usize = 1 << 20;

/// Latest events of one kind, numbered from 1 in the order in which they were added.
pub(super) struct Ring {
    kept: VecDeque<Kept>,
    /// Number of the oldest kept event.
    first: u64,
    bytes: usize,
    most: usize,
}

/// Event in a [`Ring`].
#[derive(Clone)]
pub(super) struct Kept {
    /// Position of the event among the events of all rings. Listeners send the events in this
    /// order.
    pub(super) order: u64,
    /// Lines of the event, as they are sent in an event stream.
    pub(super) text: Bytes,
}

impl Ring {
    /// Creates a ring of at most `most` events.
    pub(super) fn new(most: usize) -> Ring {
        Ring { kept: VecDeque::new(), first: 1, bytes: 0, most }
    }

    /// Returns the number of the oldest kept event.
    pub(super) fn first(&self) -> u64 {
        self.first
    }

    /// Returns the number that the next added event will get.
    pub(super) fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// Adds an event, and drops the oldest events until the ring is within its bounds.
    pub(super) fn push(&mut self, event: Kept) {
        self.bytes += event.text.len();
        self.kept.push_back(event);
        while self.kept.len() > self.most || (self.bytes > BYTES_MAX && self.kept.len() > 1) {
            let dropped = self.kept.pop_front().map_or(0, |event| event.text.len());
            self.bytes -= dropped;
            self.first += 1;
        }
    }

    /// Returns the event with this number, if it is still in the ring.
    pub(super) fn get(&self, number: u64) -> Option<&Kept> {
        self.kept.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Kept, Ring};

    fn push(ring: &mut Ring, length: usize) {
        ring.push(Kept { order: 0, text: vec![b'x'; length].into() });
    }

    #[test]
    fn the_oldest_events_are_dropped() {
        let mut ring = Ring::new(2);
        for length in 1..=3 {
            push(&mut ring, length);
        }
        assert_eq!((ring.first(), ring.end(), ring.bytes), (2, 4, 5));
        assert!(ring.get(1).is_none() && ring.get(4).is_none());
        assert_eq!(ring.get(2).unwrap().text.len(), 2);
    }

    #[test]
    fn large_events_are_fewer() {
        let mut ring = Ring::new(9);
        push(&mut ring, BYTES_MAX / 2);
        push(&mut ring, BYTES_MAX / 2);
        assert_eq!(ring.first(), 1);
        push(&mut ring, 1);
        assert_eq!(ring.first(), 2);
        push(&mut ring, BYTES_MAX + 1);
        assert_eq!((ring.first(), ring.end()), (4, 5));
    }
}
