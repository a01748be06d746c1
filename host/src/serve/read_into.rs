//! Which buffer hyper has read into: a piece of a body that is kept holds on to all
//! of it, and hyper does not tell how large it is.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The buffer of the last read, told by the stream to whoever gets what was read.
#[derive(Default)]
pub struct ReadInto {
    start: AtomicUsize,
    end: AtomicUsize,
}

impl ReadInto {
    /// Returns the addresses of the buffer.
    pub fn buffer(&self) -> Range<usize> {
        self.start.load(Relaxed)..self.end.load(Relaxed)
    }
}

/// What the stream has seen of the buffer. Several reads fill it one behind the
/// other, and each shows only the rest.
#[derive(Default)]
pub struct Seen {
    start: usize,
    /// Where the next read into the same buffer begins.
    next: usize,
    end: usize,
}

impl Seen {
    /// Looks at the room that a read is given, at this address.
    pub fn look(&mut self, room: usize, length: usize, read_into: &ReadInto) {
        if room != self.next || room + length != self.end {
            self.start = room;
            self.end = room + length;
            read_into.start.store(self.start, Relaxed);
            read_into.end.store(self.end, Relaxed);
        }
        self.next = room;
    }

    /// Takes note of how much of it was filled.
    pub fn filled(&mut self, bytes: usize) {
        self.next += bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::{ReadInto, Seen};

    #[test]
    fn reads_one_behind_the_other_are_into_one_buffer() {
        let (mut seen, read_into) = (Seen::default(), ReadInto::default());
        for (room, length, filled, buffer) in [
            (1000, 100, 30, 1000..1100),
            (1030, 70, 0, 1000..1100),
            (1030, 70, 70, 1000..1100),
            (5000, 10, 5, 5000..5010),
            // The rest is used from its beginning on.
            (5000, 10, 10, 5000..5010),
            (5010, 20, 1, 5010..5030),
        ] {
            seen.look(room, length, &read_into);
            seen.filled(filled);
            assert_eq!(read_into.buffer(), buffer);
        }
    }
}
