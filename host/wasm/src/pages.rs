//! Which pages of a module's memory were written to since it was last put back.
//!
//! A page is read-only until something writes to it. That raises a signal, the
//! page is noted and made writable, and the write happens after all. A noted
//! page stays writable, because the next request will most likely write to the
//! same ones: so in the long run there are no signals, and what is compared and
//! put back after a request is what requests use, however large the memory.

#![allow(unsafe_code, reason = "pages are protected, and a signal handler tells which are written to")]

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed};

use rustix::mm::{MprotectFlags, mprotect};
use wasmtime::Store;
use wasmtime::unix::StoreExt;

/// Elsewhere wasmtime hears of faults by other ways than signals, and every
/// page counts as written to.
const WITH_SIGNALS: bool = cfg!(target_os = "linux");

/// Most pages that one fault makes writable. The first of a call makes one, and
/// every fourth doubles it: who writes to many pages mostly writes them in a row.
const PAGES_A_FAULT_MAX: usize = 64;

/// Pages that may be written to and still be put back: 2 MiB, where they are of
/// 4 KiB. They are compared or copied before the response leaves, on a thread that serves;
/// past them it is better to give the instance up.
const PAGES_MAX: usize = 512;

/// Pages that were compared without being changed, after which those that no
/// request has changed meanwhile are made read-only again. It takes a signal to
/// make one writable, which costs as much as comparing it many times.
const WASTE_MAX: usize = 512;

/// Requests after which it is looked again at every page whether it changes.
const VISITS_TO_COMPARE: u32 = 32;

/// The pages of one instance's memory.
pub(super) struct Pages {
    guarded: Arc<Guarded>,
    /// Pages that were found changed since it was last looked at all of them.
    used: Box<[u64]>,
    wasted: usize,
    visits: u32,
}

/// What the signal handler works with: nothing that allocates or locks.
struct Guarded {
    start: usize,
    count: usize,
    page_size: usize,
    /// One bit for each page.
    writable: Box<[AtomicU64]>,
    /// Since the call began.
    faults: AtomicU32,
    /// Stretches of pages that were made writable one after the other. Each is a
    /// mapping of its own, with one behind it.
    stretches: AtomicU32,
    /// Past it all of the memory becomes writable, and the instance is not used
    /// again.
    stretches_max: u32,
    /// Whether all of it became writable.
    given_up: AtomicBool,
}

impl Pages {
    /// Guards the memory of a store, all of which counts as not written to. It
    /// has to be released before the store is dropped.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
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
            // SAFETY: it may run at any instruction of the guest or of wasmtime
            // on its behalf, so it must be async-signal-safe: `fault` uses
            // atomics, and one system call without libc's wrapper. The system
            // passes a valid pointer, and the signals that wasmtime listens to
            // all have an address.
            unsafe {
                store.set_signal_handler(move |_, signal, _| for_signals.fault((*signal).si_addr().addr()));
            }
            guarded.protect(0..count, MprotectFlags::READ)?;
        }
        Ok(pages)
    }

    /// Whether it is worth while to put back what was written to.
    pub(super) fn can_be_put_back(&self) -> bool {
        let writable = self.guarded.writable.iter().map(|word| word.load(Relaxed).count_ones() as usize);
        !self.guarded.given_up.load(Relaxed) && (!WITH_SIGNALS || writable.sum::<usize>() <= PAGES_MAX)
    }

    /// How much may have been written to of a memory that is this large now, in
    /// bytes. Of what has grown it is not known.
    pub(super) fn written_at_most(&self, memory: usize) -> usize {
        let Guarded { count, page_size, writable, .. } = &*self.guarded;
        let writable = writable.iter().map(|word| word.load(Relaxed).count_ones() as usize);
        writable.sum::<usize>() * page_size + memory.saturating_sub(count * page_size)
    }

    /// A call begins.
    pub(super) fn begin(&self) {
        self.guarded.faults.store(0, Relaxed);
    }

    /// The host itself is about to write to these bytes.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub(super) fn make_writable(&self, bytes: Range<usize>) -> io::Result<()> {
        let page_size = self.guarded.page_size;
        let pages = bytes.start / page_size..bytes.end.div_ceil(page_size).min(self.guarded.count);
        match pages.clone().all(|page| self.guarded.is_writable(page)) {
            true => Ok(()),
            false => self.guarded.open(pages),
        }
    }

    /// Makes all of the memory alike again, as wasmtime expects it.
    ///
    /// # Errors
    ///
    /// When the system does not let it. The memory must not be used again then.
    pub(super) fn release(&self) -> io::Result<()> {
        if WITH_SIGNALS { self.guarded.make_writable(0..self.guarded.count) } else { Ok(()) }
    }

    /// Goes through the pages that may have been written to, as ranges of bytes,
    /// each with whether it was found changed lately, and need not be compared.
    /// `put_back` puts one back, and says whether it had changed.
    ///
    /// # Errors
    ///
    /// When the system does not let it.
    pub(super) fn visit(&mut self, mut put_back: impl FnMut(Range<usize>, bool) -> bool) -> io::Result<()> {
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
                match put_back(start..start + page_size, *used >> bit & 1 == 1) {
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
        // Those that stay writable may divide what was one stretch.
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
    /// Whether a fault was the first write to a page, which may go on now. Runs
    /// as a signal handler.
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

    /// Makes one more stretch of pages writable, or all of them.
    fn open(&self, pages: Range<usize>) -> io::Result<()> {
        let has_room = self.stretches.fetch_add(1, Relaxed) < self.stretches_max;
        if has_room && self.make_writable(pages).is_ok() {
            return Ok(());
        }
        self.given_up.store(true, Relaxed);
        self.make_writable(0..self.count)
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
        // SAFETY: the pages lie in the memory that this was made for, which its
        // store has until after this is dropped. Nothing but the guest and
        // `memory.rs` writes to them, and neither does while they are read-only
        // without coming by here first.
        unsafe { mprotect(start, pages.len() * self.page_size, flags) }?;
        Ok(())
    }
}

/// How many stretches of ones there are, in words that follow each other.
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
    fn a_stretch_may_go_from_one_word_to_the_next() {
        let count = |words: &[u64]| stretches(words.iter().copied());
        assert_eq!(count(&[]), 0);
        assert_eq!(count(&[0, 0]), 0);
        assert_eq!(count(&[u64::MAX, u64::MAX, 1]), 1);
        assert_eq!(count(&[1 << 63, 1]), 1);
        assert_eq!(count(&[1 << 63, 2]), 2);
        assert_eq!(count(&[0b1011, 0, 1]), 3);
    }
}
