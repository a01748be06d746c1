//! Keeps track of the open connections, and chooses which of them give way: they are closed,
//! because a new connection arrives and no permit is left. The lock on all of them is taken when a
//! connection opens or closes and when a permit is missing, but never per request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::time::Instant;

/// Divisor of the number of open connections that gives the number of connections to close when a
/// permit is missing (rounded up). When many are open, several are closed at once, so that not
/// every new connection has to scan them all.
const BATCH: usize = 256;

/// Maximum time for which a new connection that has not sent a request is protected from being
/// closed to make room for another one.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// Slots of all open connections.
pub struct Slots {
    /// Slots, by their address in memory.
    taken: Mutex<HashMap<usize, Arc<Slot>>>,
    /// Time after which a transfer counts as slow, so that its connection may have to give way.
    grace: Duration,
    /// Whether the client with the most connections gives way first.
    fair: bool,
}

/// Entry of one open connection.
pub struct Slot {
    client: Option<ClientNet>,
    state: Mutex<State>,
    gives_way: AtomicU8,
}

/// Value of `gives_way`: the connection stays open.
const STAYS: u8 = 0;

/// Value of `gives_way`: the connection ends after its current response, or at once if it
/// is idle.
const AFTER_RESPONSE: u8 = 1;

/// Value of `gives_way`: the connection ends as soon as it waits for its client.
const NOW: u8 = 2;

struct State {
    activity: Activity,
    /// Number of bytes received or sent since the transfer began.
    moved: u64,
    /// Waker of the task that waits for the client.
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Activity {
    /// The server works on a request, or the connection is idle and not parked yet.
    Working,
    /// The connection is parked, or new and without a request.
    Idle { since: Instant, is_new: bool },
    /// The connection waits for the rest of a request, or for its client to read a
    /// response.
    Transferring { since: Instant },
}

/// Order in which connections give way, first to last. The greedy client is the one with
/// the most connections.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    IdleOfGreedy,
    SlowOfGreedy,
    Idle,
    Slow,
    /// Closed only after its current response.
    WorkingOfGreedy,
}

impl Slots {
    /// Creates the state without open connections.
    ///
    /// `grace` is the time after which a transfer counts as slow; `fair` makes the
    /// client with the most connections give way first.
    pub fn new(grace: Duration, fair: bool) -> Slots {
        Slots { taken: Mutex::default(), grace, fair }
    }

    /// Adds a connection. Dropping the result removes it.
    pub fn take(self: &Arc<Self>, client: Option<ClientNet>) -> Taken {
        let slot = Arc::new(Slot::new(client));
        self.lock().insert(Arc::as_ptr(&slot).addr(), Arc::clone(&slot));
        Taken { slot, slots: Arc::clone(self) }
    }

    /// Makes connections give way to a new connection of `client`. Chooses at least one, if any
    /// qualifies.
    pub fn make_room(&self, client: Option<ClientNet>) {
        let taken = self.lock();
        let greedy = self.greedy(&taken, client);
        let now = Instant::now();
        let mut ranked: Vec<_> =
            taken.values().filter_map(|slot| Some((self.rank(slot, greedy, now)?, slot))).collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        for ((rank, _), slot) in ranked.iter().take(taken.len().div_ceil(BATCH)) {
            slot.give_way(if *rank == Rank::WorkingOfGreedy { AFTER_RESPONSE } else { NOW });
        }
    }

    /// Returns the client with the most connections, if it has more of them than the client
    /// `newcomer` will have with its new connection; [`None`] if fair sharing is off.
    fn greedy(&self, taken: &HashMap<usize, Arc<Slot>>, newcomer: Option<ClientNet>) -> Option<ClientNet> {
        if !self.fair {
            return None;
        }
        let mut counts = HashMap::<ClientNet, usize>::new();
        for client in taken.values().filter(|slot| !slot.gives_way()).filter_map(|slot| slot.client) {
            *counts.entry(client).or_default() += 1;
        }
        let has = newcomer.and_then(|client| counts.get(&client)).copied().unwrap_or(0);
        let (client, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (most > has + 1).then_some(client)
    }

    /// Returns the sort key of a connection: the smallest key gives way first. Returns
    /// `None` if the connection does not qualify.
    fn rank(&self, slot: &Slot, greedy: Option<ClientNet>, now: Instant) -> Option<(Rank, u64)> {
        let gives_way = slot.gives_way.load(Relaxed);
        if gives_way == NOW {
            return None;
        }
        let is_greedy = greedy.is_some() && slot.client == greedy;
        let state = slot.lock();
        match state.activity {
            Activity::Idle { since, is_new } => {
                let rested = now.saturating_duration_since(since);
                let rank = if is_greedy { Rank::IdleOfGreedy } else { Rank::Idle };
                (!is_new || rested >= FIRST_REQUEST.min(self.grace))
                    .then(|| (rank, u64::MAX - rested.as_millis() as u64))
            }
            Activity::Transferring { since } => {
                let taken = now.saturating_duration_since(since);
                let rate = state.moved as f64 / taken.as_secs_f64();
                let rank = if is_greedy { Rank::SlowOfGreedy } else { Rank::Slow };
                (taken >= self.grace).then_some((rank, rate as u64))
            }
            Activity::Working => (is_greedy && gives_way == STAYS).then_some((Rank::WorkingOfGreedy, 0)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Arc<Slot>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(client: Option<ClientNet>) -> Slot {
        let state = State { activity: Activity::Working, moved: 0, waker: None };
        Slot { client, state: Mutex::new(state), gives_way: AtomicU8::new(STAYS) }
    }

    /// Returns whether the connection has to give way, at once or after its current response.
    pub fn gives_way(&self) -> bool {
        self.gives_way.load(Relaxed) != STAYS
    }

    /// Returns whether the connection is to end even in the middle of a transfer.
    pub fn gives_way_now(&self) -> bool {
        self.gives_way.load(Relaxed) == NOW
    }

    /// Records that the connection has been idle since `since`, and waits until it has to give way.
    /// `is_new` says whether it has not sent a request yet.
    pub async fn rest(&self, since: Instant, is_new: bool) {
        self.lock().activity = Activity::Idle { since, is_new };
        std::future::poll_fn(|cx| self.poll_gives_way(cx, AFTER_RESPONSE)).await;
    }

    /// Records that the connection waits for its client in the middle of a transfer. Is ready when
    /// the connection has to give way at once.
    pub fn poll_transfers(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !matches!(state.activity, Activity::Transferring { .. }) {
            state.activity = Activity::Transferring { since: Instant::now() };
            state.moved = 0;
        }
        drop(state);
        self.poll_gives_way(cx, NOW)
    }

    /// Records bytes received or sent.
    pub fn moved(&self, bytes: usize) {
        self.lock().moved += bytes as u64;
    }

    /// Records that the connection no longer waits for its client.
    pub fn works(&self) {
        self.lock().activity = Activity::Working;
    }

    fn poll_gives_way(&self, cx: &mut Context<'_>, least: u8) -> Poll<()> {
        let mut state = self.lock();
        if self.gives_way.load(Relaxed) >= least {
            return Poll::Ready(());
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    fn give_way(&self, how: u8) {
        let mut state = self.lock();
        self.gives_way.store(how, Relaxed);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Guard of an open connection. Removes the connection from [`Slots`] on drop.
pub struct Taken {
    /// Entry of the connection.
    pub slot: Arc<Slot>,
    slots: Arc<Slots>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.slots.lock().remove(&Arc::as_ptr(&self.slot).addr());
    }
}

#[cfg(test)]
mod tests {
    use super::{Activity, Slots, Taken};
    use host_http::client_net::ClientNet;
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use std::time::Duration;
    use tokio::time::Instant;

    const GRACE: Duration = Duration::from_secs(5);

    fn net(number: u32) -> Option<ClientNet> {
        Some(ClientNet::V4(number))
    }

    /// Returns the time that was this many seconds ago.
    fn ago(seconds: u64) -> Instant {
        Instant::now() - Duration::from_secs(seconds)
    }

    fn does(taken: &Taken, activity: Activity, moved: u64) {
        let mut state = taken.slot.lock();
        (state.activity, state.moved) = (activity, moved);
    }

    /// Returns the indices of the connections in `taken`, in the order in which they give way to
    /// new connections of the client `newcomer`.
    fn order(slots: &Slots, taken: &[&Taken], newcomer: Option<ClientNet>) -> Vec<usize> {
        let mut order = Vec::new();
        for _ in taken {
            slots.make_room(newcomer);
            for (index, taken) in taken.iter().enumerate() {
                if taken.slot.gives_way() && !order.contains(&index) {
                    order.push(index);
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn idle_connections_give_way_before_slow_ones_and_the_slowest_before_others() {
        let slots = Arc::new(Slots::new(GRACE, true));
        let [works, slow, slowest, idle, idler, young, new] = [(); 7].map(|()| slots.take(net(1)));
        does(&works, Activity::Working, 0);
        does(&slow, Activity::Transferring { since: ago(20) }, 2000);
        does(&slowest, Activity::Transferring { since: ago(10) }, 500);
        does(&idle, Activity::Idle { since: ago(1), is_new: false }, 0);
        does(&idler, Activity::Idle { since: ago(2), is_new: true }, 0);
        does(&young, Activity::Transferring { since: ago(1) }, 0);
        does(&new, Activity::Idle { since: ago(0), is_new: true }, 0);
        let all = [&works, &slow, &slowest, &idle, &idler, &young, &new];
        assert_eq!(order(&slots, &all, net(1)), [4, 3, 2, 1]);
    }

    #[tokio::test]
    async fn the_client_with_the_most_connections_gives_way_first() {
        let slots = Arc::new(Slots::new(GRACE, true));
        let modest = slots.take(net(2));
        let [first, second, third] = [(); 3].map(|()| slots.take(net(1)));
        let proxy = slots.take(None);
        does(&modest, Activity::Idle { since: ago(9), is_new: false }, 0);
        does(&first, Activity::Transferring { since: ago(9) }, 1 << 20);
        does(&proxy, Activity::Working, 0);
        let all = [&modest, &first, &second, &third, &proxy];
        // The greedy client gives way only while it has more connections than the
        // newcomer's client will have.
        assert_eq!(order(&slots, &all, net(3))[..2], [1, 0]);
        assert!(!proxy.slot.gives_way());
    }

    #[tokio::test]
    async fn clients_are_not_told_apart_where_that_is_turned_off() {
        let slots = Arc::new(Slots::new(GRACE, false));
        let modest = slots.take(net(2));
        let [first, second] = [(); 2].map(|()| slots.take(net(1)));
        does(&modest, Activity::Idle { since: ago(9), is_new: false }, 0);
        does(&first, Activity::Transferring { since: ago(9) }, 0);
        assert_eq!(order(&slots, &[&modest, &first, &second], net(3)), [0, 1]);
        drop(first);
        assert_eq!(slots.lock().len(), 2);
    }

    #[tokio::test]
    async fn a_connection_that_works_has_time_for_its_response() {
        let slots = Arc::new(Slots::new(GRACE, true));
        let greedy = [(); 3].map(|()| slots.take(net(1)));
        slots.make_room(net(2));
        let told = greedy.iter().find(|taken| taken.slot.gives_way()).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(told.slot.poll_transfers(&mut cx).is_pending());
        does(told, Activity::Transferring { since: ago(9) }, 0);
        slots.make_room(net(2));
        assert!(told.slot.poll_transfers(&mut cx).is_ready());
    }
}
