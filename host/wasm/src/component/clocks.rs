//! Clocks of a component. Their time depends only on the request, so that a replayed request is
//! handled in the same way: the clocks start at the time of the request. Each reading advances them
//! by one step, and each wait by its length. Waits take real time.
//!
//! If two waits end at nearly the same time, the component may see both end together, or one after
//! the other, depending on the machine.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Instant, sleep_until};
use wasmtime::Result;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};
use wasmtime_wasi::p2::{DynPollable, Pollable, subscribe};

/// Time by which each reading advances the clocks, in nanoseconds.
const STEP: u64 = 1_000;

/// Clocks of one store.
pub(super) struct Clocks {
    /// Time of the request, since the start of 1970.
    began: Duration,
    /// Nanoseconds by which the clocks have advanced since `began`.
    passed: Arc<AtomicU64>,
}

/// Clocks, and the table that stores the waits.
pub(super) struct View<'a> {
    pub(super) clocks: &'a Clocks,
    pub(super) table: &'a mut ResourceTable,
}

/// Tells the linker that the implementation of these interfaces is [`View`].
pub(super) struct Has;

impl HasData for Has {
    type Data<'a> = View<'a>;
}

impl Clocks {
    /// Creates the clocks for a request that came at this time, counted from the start of 1970.
    pub(super) fn new(began: Duration) -> Clocks {
        Clocks { began, passed: Arc::default() }
    }

    /// Advances the clocks by one step, and returns the nanoseconds since `began`.
    fn read(&self) -> u64 {
        self.passed.fetch_add(STEP, Relaxed).saturating_add(STEP)
    }
}

impl View<'_> {
    /// Starts a wait of this length.
    fn wait(&mut self, nanoseconds: u64) -> Result<Resource<DynPollable>> {
        let passed = Arc::clone(&self.clocks.passed);
        let until = passed.load(Relaxed).saturating_add(nanoseconds);
        let end = match nanoseconds {
            0 => End::Now { has_yielded: false },
            // A time that cannot be told never comes.
            _ => Instant::now().checked_add(Duration::from_nanos(nanoseconds)).map_or(End::Never, End::At),
        };
        let wait = self.table.push(Wait { passed, until, end })?;
        subscribe(self.table, wait)
    }
}

impl monotonic_clock::Host for View<'_> {
    fn now(&mut self) -> Result<u64> {
        Ok(self.clocks.read())
    }

    fn resolution(&mut self) -> Result<u64> {
        Ok(STEP)
    }

    fn subscribe_instant(&mut self, when: u64) -> Result<Resource<DynPollable>> {
        self.wait(when.saturating_sub(self.clocks.passed.load(Relaxed)))
    }

    fn subscribe_duration(&mut self, nanoseconds: u64) -> Result<Resource<DynPollable>> {
        self.wait(nanoseconds)
    }
}

impl wall_clock::Host for View<'_> {
    fn now(&mut self) -> Result<wall_clock::Datetime> {
        let now = self.clocks.began.saturating_add(Duration::from_nanos(self.clocks.read()));
        Ok(wall_clock::Datetime { seconds: now.as_secs(), nanoseconds: now.subsec_nanos() })
    }

    fn resolution(&mut self) -> Result<wall_clock::Datetime> {
        Ok(wall_clock::Datetime { seconds: 0, nanoseconds: STEP as u32 })
    }
}

/// A wait of a component.
struct Wait {
    passed: Arc<AtomicU64>,
    /// Time of the clocks at the end of the wait, in nanoseconds.
    until: u64,
    end: End,
}

enum End {
    /// At the first poll, after yielding once, so that a component that checks the time in a loop
    /// does not block other calls.
    Now {
        has_yielded: bool,
    },
    At(Instant),
    Never,
}

#[async_trait]
impl Pollable for Wait {
    async fn ready(&mut self) {
        match &mut self.end {
            End::Now { has_yielded: true } => {}
            End::Now { has_yielded } => {
                *has_yielded = true;
                yield_now().await;
            }
            End::At(end) => sleep_until(*end).await,
            End::Never => pending().await,
        }
        self.passed.fetch_max(self.until, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::{Clocks, STEP, View};
    use std::time::Duration;
    use wasmtime::component::ResourceTable;
    use wasmtime_wasi::p2::Pollable;
    use wasmtime_wasi::p2::bindings::clocks::{monotonic_clock, wall_clock};

    #[tokio::test]
    async fn the_time_follows_from_the_request_and_from_what_was_read_and_waited_for() {
        let clocks = Clocks::new(Duration::from_millis(1_700_000_000_123));
        let mut table = ResourceTable::new();
        let mut view = View { clocks: &clocks, table: &mut table };
        assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), STEP);
        assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), 2 * STEP);
        let wall = wall_clock::Host::now(&mut view).unwrap();
        assert_eq!((wall.seconds, wall.nanoseconds), (1_700_000_000, 123_000_000 + 3 * STEP as u32));
        monotonic_clock::Host::subscribe_duration(&mut view, 5_000_000).unwrap();
        let wait = table.iter_mut().find_map(|entry| entry.downcast_mut::<super::Wait>()).unwrap();
        wait.ready().await;
        let mut view = View { clocks: &clocks, table: &mut table };
        assert_eq!(monotonic_clock::Host::now(&mut view).unwrap(), 5_000_000 + 4 * STEP);
    }
}
