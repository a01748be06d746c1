//! Queue of log lines between the threads that log and the thread that writes. It is
//! bounded in bytes. When it is full, lines are dropped, because a stopped terminal or an
//! unread pipe must not block requests. The number of dropped lines is logged later.

use std::io::Write;
use std::mem;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Maximum number of queued bytes: about 10,000 lines of 200 bytes. The thread that writes may hold
/// as many bytes again in its buffer.
pub const BYTES_MAX: usize = 2 << 20;

/// Maximum capacity that the write buffer keeps between writes, in bytes.
const ROOM: usize = 64 << 10;

/// Pause of the writing thread after each write. Under load, lines gather during the pause, so that
/// one system call writes them all, and no system call is needed to wake the thread.
const GATHER: Duration = Duration::from_millis(2);

/// Bounded queue of log lines.
pub struct Queue {
    waiting: Mutex<Waiting>,
    changed: Condvar,
    lost: AtomicU64,
}

struct Waiting {
    lines: Vec<u8>,
    /// Whether the writer waits for lines.
    is_idle: bool,
    is_closed: bool,
    has_ended: bool,
}

impl Queue {
    /// Creates an empty queue.
    #[allow(clippy::new_without_default, reason = "a static needs a constant")]
    pub const fn new() -> Queue {
        let waiting = Waiting { lines: Vec::new(), is_idle: false, is_closed: false, has_ended: false };
        Queue { waiting: Mutex::new(waiting), changed: Condvar::new(), lost: AtomicU64::new(0) }
    }

    /// Queues a line, or drops and counts it when the queue is full.
    pub fn push(&self, line: &[u8]) {
        let mut waiting = self.lock();
        if waiting.lines.len().saturating_add(line.len()) > BYTES_MAX {
            self.lost.fetch_add(1, Relaxed);
            return;
        }
        waiting.lines.extend_from_slice(line);
        let wakes = mem::take(&mut waiting.is_idle);
        drop(waiting);
        if wakes {
            self.changed.notify_all();
        }
    }

    /// Returns the number of queued bytes.
    pub fn waiting(&self) -> usize {
        self.lock().lines.len()
    }

    /// Returns the number of lines since the start that were dropped or could not be
    /// written.
    pub fn lost(&self) -> u64 {
        self.lost.load(Relaxed)
    }

    /// Writes lines to `output` until the queue is closed and empty. If lines were lost, calls
    /// `miss` with their number once writing works again.
    pub fn write_all(&self, mut output: impl Write, miss: impl Fn(u64)) {
        let (mut lines, mut missed, mut works) = (Vec::new(), 0, true);
        while self.take(&mut lines) {
            let lost = self.lost();
            if works && lost > missed {
                miss(lost - mem::replace(&mut missed, lost));
            }
            works = output.write_all(&lines).and_then(|()| output.flush()).is_ok();
            if !works {
                let ends = lines.iter().filter(|&&byte| byte == b'\n').count();
                self.lost.fetch_add(ends as u64, Relaxed);
            }
            lines.clear();
            lines.shrink_to(ROOM);
            thread::sleep(GATHER);
        }
        self.lock().has_ended = true;
        self.changed.notify_all();
    }

    /// Closes the queue and waits, at most `timeout`, until the writer has ended.
    pub fn close(&self, timeout: Duration) {
        let mut waiting = self.lock();
        waiting.is_closed = true;
        self.changed.notify_all();
        let _ = self.changed.wait_timeout_while(waiting, timeout, |waiting| !waiting.has_ended);
    }

    /// Waits, at most `timeout`, until all lines are written.
    pub fn settle(&self, timeout: Duration) {
        let waiting = self.lock();
        let _ = self.changed.wait_timeout_while(waiting, timeout, |waiting| !waiting.is_idle);
    }

    /// Waits for lines and moves them to `lines`. Returns false when the queue is
    /// closed and empty.
    fn take(&self, lines: &mut Vec<u8>) -> bool {
        let mut waiting = self.lock();
        while waiting.lines.is_empty() && !waiting.is_closed {
            waiting.is_idle = true;
            self.changed.notify_all();
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
        waiting.is_idle = false;
        mem::swap(&mut waiting.lines, lines);
        !lines.is_empty()
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::{BYTES_MAX, Queue};
    use std::io::{self, Write};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread;
    use std::time::Duration;

    /// Writer that reports each write and waits for its result.
    struct Held {
        begun: Sender<Vec<u8>>,
        results: Receiver<io::Result<()>>,
    }

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.begun.send(bytes.to_vec()).unwrap();
            self.results.recv().unwrap().map(|()| bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_nobody_reads_are_bounded_counted_and_missed() {
        let queue: &'static Queue = Box::leak(Box::new(Queue::new()));
        let (begun, written) = channel();
        let (go_on, results) = channel();
        let miss = |lost| queue.push(format!("lost {lost}\n").as_bytes());
        let thread = thread::spawn(move || queue.write_all(Held { begun, results }, miss));
        queue.push(b"first\n");
        assert_eq!(written.recv().unwrap(), b"first\n");

        // The writer is blocked in its first write, so the queue fills up.
        let line = [b'x'; 1 << 16];
        (0..BYTES_MAX / line.len() + 5).for_each(|_| queue.push(&line));
        assert_eq!(queue.lost(), 5);
        go_on.send(Ok(())).unwrap();
        // The queued lines are written first, and then the number of lost ones.
        assert_eq!(written.recv().unwrap().len(), BYTES_MAX);
        go_on.send(Ok(())).unwrap();
        assert_eq!(written.recv().unwrap(), b"lost 5\n");
        go_on.send(Ok(())).unwrap();

        // The loss of a line whose write failed is reported once writing works again.
        queue.push(b"gone\n");
        assert_eq!(written.recv().unwrap(), b"gone\n");
        go_on.send(Err(io::ErrorKind::BrokenPipe.into())).unwrap();
        for line in [&b"one\n"[..], b"two\n", b"lost 1\n"] {
            if !line.starts_with(b"lost") {
                queue.push(line);
            }
            assert_eq!(written.recv().unwrap(), line);
            go_on.send(Ok(())).unwrap();
        }
        assert_eq!(queue.lost(), 6);
        queue.close(Duration::from_secs(60));
        thread.join().unwrap();
    }
}
