//! Tracks which pages of an instance's memory were written to, so that a reset takes time only for
//! these pages, however large the memory is.
//!
//! Each page is read-only at first. The first write to it raises a signal. The signal handler
//! records the page, makes it writable, and lets the write happen. The page stays writable after
//! the reset, because the next request most likely writes to the same pages. So after a few
//! requests there are hardly any signals. Pages that requests no longer change become read-only
//! again from time to time, so that a reset visits few pages beyond those in use.
//!
//! A stretch is a range of adjacent pages that was made writable in one step. Each takes up to two
//! of the process's memory mappings, so the number of stretches is limited.

#![allow(unsafe_code, reason = "protects pages, and sets a signal handler that tells which are written to")]

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::Store;
use wasmtime::unix::StoreExt;

/// Whether writes are tracked by signals. On systems other than Linux, wasmtime may
/// learn of faults in other ways, so every page counts as written to.
const WITH_SIGNALS: bool = cfg!(target_os = "linux");

/// Maximum number of pages that one fault makes writable. The first faults of a call make one page
/// writable each, and every fourth fault doubles that number, because a call that writes to many
/// pages mostly writes to adjacent ones.
const PAGES_A_FAULT_MAX: usize = 64;

/// Maximum number of written pages with which an instance is still reset: 2 MiB in pages of 4 KiB.
/// A serving thread compares or copies these pages before it sends the response. With more pages,
/// it is cheaper to drop the instance.
pub const PAGES_MAX: usize = 512;

/// Number of comparisons that found a page unchanged, after which pages that requests no longer
/// change are made read-only again. The number is large because making a page writable again costs
/// a signal, which takes as long as many comparisons.
const WASTE_MAX: usize = 512;

/// Number of resets after which all writable pages are compared again. In the resets between, pages
/// that were found changed are copied without a comparison.
const VISITS_TO_COMPARE: u32 = 32;

/// The written pages of one instance's memory.
pub(super) struct Pages {
    guarded: Arc<Guarded>,
    /// A bit for each page: set if the page was found changed since the last comparison of all
    /// writable pages.
    used: Box<[u64]>,
    wasted: usize,
    visits: u32,
}

/// Data that the signal handler uses. The signal handler must neither allocate nor lock.
struct Guarded {
    start: usize,
    count: usize,
    page_size: usize,
    /// One bit for each page: set if the page is writable.
    writable: Box<[AtomicU64]>,
    /// Faults since the call began.
    faults: AtomicU32,
    /// Number of writable stretches. Each takes up to two memory mappings: the stretch, and the
    /// read-only rest behind it.
    stretches: AtomicU32,
    /// Maximum number of stretches. When a call exceeds it, all of the memory becomes writable, and
    /// the instance is not reused.
    stretches_max: u32,
    /// Whether all of the memory became writable, so that the instance is not reused.
    given_up: AtomicBool,
}

impl Pages {
    /// Protects a store's memory against writes, and starts to track them.
    /// [`Pages::release`] must be called before the store is dropped.
    ///
    /// # Errors
    ///
    /// When the system refuses to change the protection.
    pub(super) fn guard<T>(
        store: &mut Store<T>,
        start: *mut u8,
        length: usize,
        stretches_max: u32,
    ) -> io::Result<Pages> {
        let page_size = rustix::param::page_size();
        let count = length / page_size;
        let words = count.div_ceil(64);
        let guarded = Arc::new(Guarded {
            start: start.expose_provenance(),
            count,
            page_size,
            writable: (0..words).map(|_| AtomicU64::new(if WITH_SIGNALS { 0 } else { u64::MAX })).collect(),
            faults: AtomicU32::new(0),
            stretches: AtomicU32::new(0),
            stretches_max,
            given_up: AtomicBool::new(false),
        });
        let pages =
            Pages { guarded: Arc::clone(&guarded), used: vec![0; words].into(), wasted: 0, visits: 0 };
        if WITH_SIGNALS {
            let for_signals = Arc::clone(&guarded);
            // SAFETY: the signal handler may run at any instruction of the guest, or of
            // wasmtime on its behalf, so it must be async-signal-safe. `fault` uses only
            // atomics and system calls without libc's wrapper. The system passes a valid
            // pointer, and all signals that wasmtime listens to carry an address.
            unsafe {
                store.set_signal_handler(move |_, signal, _| for_signals.fault((*signal).si_addr().addr()));
            }
            guarded.protect(0..count, MprotectFlags::READ)?;
        }
        Ok(pages)
    }

    /// Returns whether few enough pages were written to for a reset to pay off.
    pub(super) fn can_be_reset(&self) -> bool {
        !self.guarded.given_up.load(Relaxed) && (!WITH_SIGNALS || self.guarded.count_writable() <= PAGES_MAX)
    }

    /// Returns an upper bound on the bytes written to in a memory that now has `memory`
    /// bytes. Grown memory is not tracked, and counts as written to.
    pub(super) fn written_at_most(&self, memory: usize) -> usize {
        let Guarded { count, page_size, .. } = *self.guarded;
        self.guarded.count_writable() * page_size + memory.saturating_sub(count * page_size)
    }

    /// Starts a new call: sets the number of faults to 0, so that the next faults each make few
    /// pages writable.
    pub(super) fn begin(&self) {
        self.guarded.faults.store(0, Relaxed);
    }

    /// Makes these bytes writable, because the host itself is about to write to them.
    ///
    /// # Errors
    ///
    /// When the system refuses to change the protection.
    pub(super) fn make_writable(&self, bytes: Range<usize>) -> io::Result<()> {
        let page_size = self.guarded.page_size;
        let pages = bytes.start / page_size..bytes.end.div_ceil(page_size).min(self.guarded.count);
        match pages.clone().all(|page| self.guarded.is_writable(page)) {
            true => Ok(()),
            false => self.guarded.open(pages),
        }
    }

    /// Makes all of the memory writable again, as wasmtime's pool expects it.
    ///
    /// # Errors
    ///
    /// When the system refuses to change the protection. The memory must not be used again after an
    /// error.
    pub(super) fn release(&self) -> io::Result<()> {
        if WITH_SIGNALS { self.guarded.make_writable(0..self.guarded.count) } else { Ok(()) }
    }

    /// Calls `reset` for each page that may have been written to, with the page's range of bytes,
    /// and whether the page changed lately, so that it is copied without a comparison. `reset`
    /// resets the page, and returns whether the page had changed.
    ///
    /// # Errors
    ///
    /// When the system refuses to protect unused pages again.
    pub(super) fn visit(&mut self, mut reset: impl FnMut(Range<usize>, bool) -> bool) -> io::Result<()> {
        let page_size = self.guarded.page_size;
        self.visits = self.visits.wrapping_add(1);
        if self.visits.is_multiple_of(VISITS_TO_COMPARE) {
            self.used.fill(0);
        }
        for (index, (word, used)) in self.guarded.writable.iter().zip(&mut self.used).enumerate() {
            let mut left = word.load(Relaxed);
            while left != 0 {
                let bit = left.trailing_zeros();
                left &= left - 1;
                let start = (64 * index + bit as usize) * page_size;
                match reset(start..start + page_size, *used >> bit & 1 == 1) {
                    true => *used |= 1 << bit,
                    false => self.wasted += 1,
                }
            }
        }
        if WITH_SIGNALS && self.wasted > WASTE_MAX {
            self.protect_unused()?;
        }
        Ok(())
    }

    fn protect_unused(&mut self) -> io::Result<()> {
        self.wasted = 0;
        // Protecting pages inside a stretch splits it. With too many stretches the
        // instance would soon be dropped, so all pages stay writable then.
        let left = self.guarded.writable.iter().zip(&self.used);
        let stretches = stretches(left.map(|(word, used)| word.load(Relaxed) & used));
        if stretches > self.guarded.stretches_max / 2 {
            return Ok(());
        }
        self.guarded.stretches.store(stretches, Relaxed);
        for (index, (word, used)) in self.guarded.writable.iter().zip(&mut self.used).enumerate() {
            let mut unused = word.load(Relaxed) & !*used;
            word.fetch_and(*used, Relaxed);
            *used = 0;
            while unused != 0 {
                let first = unused.trailing_zeros();
                let length = (unused >> first).trailing_ones();
                unused &= !((u64::MAX >> (64 - length)) << first);
                let start = 64 * index + first as usize;
                self.guarded.protect(start..start + length as usize, MprotectFlags::READ)?;
            }
        }
        Ok(())
    }
}

impl Guarded {
    /// Handles a memory fault at `address`, as a signal handler. Returns true if the fault was the
    /// first write to a tracked page; the page is now writable, and the write is repeated.
    fn fault(&self, address: usize) -> bool {
        let Some(offset) = address.checked_sub(self.start) else {
            return false;
        };
        let page = offset / self.page_size;
        if page >= self.count || self.is_writable(page) {
            return false;
        }
        let doublings = self.faults.fetch_add(1, Relaxed) / 4;
        let length = 1usize.checked_shl(doublings).unwrap_or(usize::MAX).min(PAGES_A_FAULT_MAX);
        let end = page.saturating_add(length).min(self.count);
        self.open(page..end).is_ok()
    }

    /// Makes these pages writable as one more stretch, or the whole memory if there are too many
    /// stretches.
    fn open(&self, pages: Range<usize>) -> io::Result<()> {
        let has_room = self.stretches.fetch_add(1, Relaxed) < self.stretches_max;
        if has_room && self.make_writable(pages).is_ok() {
            return Ok(());
        }
        self.given_up.store(true, Relaxed);
        self.make_writable(0..self.count)
    }

    fn count_writable(&self) -> usize {
        self.writable.iter().map(|word| word.load(Relaxed).count_ones() as usize).sum()
    }

    fn is_writable(&self, page: usize) -> bool {
        self.writable.get(page / 64).is_some_and(|word| word.load(Relaxed) >> (page % 64) & 1 == 1)
    }

    fn make_writable(&self, pages: Range<usize>) -> io::Result<()> {
        self.protect(pages.clone(), MprotectFlags::READ | MprotectFlags::WRITE)?;
        for page in pages {
            if let Some(word) = self.writable.get(page / 64) {
                word.fetch_or(1 << (page % 64), Relaxed);
            }
        }
        Ok(())
    }

    fn protect(&self, pages: Range<usize>, flags: MprotectFlags) -> io::Result<()> {
        let start = std::ptr::with_exposed_provenance_mut(self.start + pages.start * self.page_size);
        // SAFETY: the pages lie in the guarded memory, whose store outlives this value.
        // Only the guest and `memory.rs` write to them. A write of the guest to a
        // read-only page raises a signal, and `memory.rs` calls `make_writable` first.
        unsafe { mprotect(start, pages.len() * self.page_size, flags) }?;
        Ok(())
    }
}

/// Counts the runs of consecutive one bits in a sequence of words, each read from its lowest bit.
fn stretches(words: impl Iterator<Item = u64>) -> u32 {
    let mut before = 0;
    let begin = |word: u64| {
        let begin = word & !(word << 1 | before);
        before = word >> 63;
        begin.count_ones()
    };
    words.map(begin).sum()
}

#[cfg(test)]
mod tests {
    use super::stretches;

    #[test]
    fn a_run_of_ones_across_two_words_counts_once() {
        let count = |words: &[u64]| stretches(words.iter().copied());
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[0, 0]), 0);
        assert_eq!(count(&[u64::MAX, u64::MAX, 1]), 1);
        assert_eq!(count(&[1 << 63, 1]), 1);
        assert_eq!(count(&[1 << 63, 2]), 2);
        assert_eq!(count(&[0b1011, 0, 1]), 3);
    }
}
