//! Notes the address range of the buffer that hyper last read into. A kept piece of a
//! body keeps this whole buffer alive, and hyper does not report its size. `serve::body`
//! needs the range to count the whole buffer towards `--buffer-max`.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Buffer of the last read, set by the stream for the reader of the body.
#[derive(Default)]
pub struct ReadInto {
    start: AtomicUsize,
    end: AtomicUsize,
}

impl ReadInto {
    /// Returns the address range of the buffer.
    pub fn buffer(&self) -> Range<usize> {
        self.start.load(Relaxed)..self.end.load(Relaxed)
    }
}

/// The stream's view of hyper's buffer. Consecutive reads may fill one buffer, and each
/// read shows only the rest of it, so the start is remembered.
#[derive(Default)]
pub struct Seen {
    start: usize,
    /// Address at which the next read into the buffer begins.
    next: usize,
    end: usize,
}

impl Seen {
    /// Records the memory that a read may fill: its address and its length in bytes. Memory
    /// that does not continue the last read belongs to another buffer.
    pub fn look(&mut self, room: usize, length: usize, read_into: &ReadInto) {
        if room != self.next || room + length != self.end {
            self.start = room;
            self.end = room + length;
            read_into.start.store(self.start, Relaxed);
            read_into.end.store(self.end, Relaxed);
        }
        self.next = room;
    }

    /// Records the number of bytes that the read filled.
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
            // hyper reuses the buffer from its start.
            (5000, 10, 10, 5000..5010),
            (5010, 20, 1, 5010..5030),
        ] {
            seen.look(room, length, &read_into);
            seen.filled(filled);
            assert_eq!(read_into.buffer(), buffer);
        }
    }
}
