//! The connections that are open, and which of them gives way when one more wants
//! to come in and there is no place. A connection that is quick never takes the
//! lock that all share: it is taken when a connection opens, when it closes, and
//! when there is no place.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::time::Instant;

/// Of how many connections one more gives way at a time than has to, so that not
/// all have to be looked at for each that comes in.
const BATCH: usize = 256;

/// How long a new connection has to begin its first request.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// The connections that are open.
pub struct Seats {
    /// By their addresses in memory.
    taken: Mutex<HashMap<usize, Arc<Seat>>>,
    /// How long a request or a response may take before it counts as slow.
    grace: Duration,
    /// Whether clients are told apart.
    fair: bool,
}

/// The seat of one connection.
pub struct Seat {
    client: Option<ClientNet>,
    state: Mutex<State>,
    gives_way: AtomicU8,
}

/// A connection stays.
const STAYS: u8 = 0;

/// A connection ends after the response that it works on, or when it rests.
const AFTER_RESPONSE: u8 = 1;

/// A connection ends as soon as it waits for its client.
const NOW: u8 = 2;

struct State {
    doing: Doing,
    /// Bytes that have come or gone since the transfer began.
    moved: u64,
    /// Of the task that waits for the client.
    waker: Option<Waker>,
}

#[derive(Clone, Copy)]
enum Doing {
    /// It does not wait for its client, or has not done so for long.
    Works,
    /// It waits for the next request.
    Rests { since: Instant, is_new: bool },
    /// It waits for the rest of a request, or until a response is taken in.
    Transfers { since: Instant },
}

/// Who gives way first, by the order of these.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    RestsOfGreedy,
    SlowOfGreedy,
    Rests,
    Slow,
    /// It is closed after the response that it works on.
    WorksOfGreedy,
}

impl Seats {
    /// # Arguments
    ///
    /// `grace` is how long a transfer may take before it counts as slow; `fair` is
    /// whether the client with the most connections gives way first.
    pub fn new(grace: Duration, fair: bool) -> Seats {
        Seats { taken: Mutex::default(), grace, fair }
    }

    /// Takes a seat for a new connection.
    pub fn take(self: &Arc<Self>, client: Option<ClientNet>) -> Taken {
        let seat = Arc::new(Seat::new(client));
        self.lock().insert(Arc::as_ptr(&seat).addr(), Arc::clone(&seat));
        Taken { seat, seats: Arc::clone(self) }
    }

    /// Makes a connection give way for a new one of this client, if there is one
    /// that should.
    pub fn make_room(&self, client: Option<ClientNet>) {
        let taken = self.lock();
        let greedy = self.greedy(&taken, client);
        let now = Instant::now();
        let mut ranked: Vec<_> =
            taken.values().filter_map(|seat| Some((self.rank(seat, greedy, now)?, seat))).collect();
        ranked.sort_unstable_by_key(|(rank, _)| *rank);
        for ((rank, _), seat) in ranked.iter().take(taken.len().div_ceil(BATCH)) {
            seat.give_way(if *rank == Rank::WorksOfGreedy { AFTER_RESPONSE } else { NOW });
        }
    }

    /// The client with the most connections, if it has more than the newcomer's
    /// client would have.
    fn greedy(&self, taken: &HashMap<usize, Arc<Seat>>, newcomer: Option<ClientNet>) -> Option<ClientNet> {
        if !self.fair {
            return None;
        }
        let mut counts = HashMap::<ClientNet, usize>::new();
        for client in taken.values().filter(|seat| !seat.gives_way()).filter_map(|seat| seat.client) {
            *counts.entry(client).or_default() += 1;
        }
        let has = newcomer.and_then(|client| counts.get(&client)).copied().unwrap_or(0);
        let (client, most) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        (most > has + 1).then_some(client)
    }

    /// When a seat is to give way, smaller being earlier; nothing if it is not to.
    fn rank(&self, seat: &Seat, greedy: Option<ClientNet>, now: Instant) -> Option<(Rank, u64)> {
        let gives_way = seat.gives_way.load(Relaxed);
        if gives_way == NOW {
            return None;
        }
        let is_greedy = greedy.is_some() && seat.client == greedy;
        let state = seat.lock();
        match state.doing {
            Doing::Rests { since, is_new } => {
                let rested = now.saturating_duration_since(since);
                let rank = if is_greedy { Rank::RestsOfGreedy } else { Rank::Rests };
                (!is_new || rested >= FIRST_REQUEST.min(self.grace))
                    .then(|| (rank, u64::MAX - rested.as_millis() as u64))
            }
            Doing::Transfers { since } => {
                let taken = now.saturating_duration_since(since);
                let rate = state.moved as f64 / taken.as_secs_f64();
                let rank = if is_greedy { Rank::SlowOfGreedy } else { Rank::Slow };
                (taken >= self.grace).then_some((rank, rate as u64))
            }
            Doing::Works => (is_greedy && gives_way == STAYS).then_some((Rank::WorksOfGreedy, 0)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<usize, Arc<Seat>>> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    fn new(client: Option<ClientNet>) -> Seat {
        let state = State { doing: Doing::Works, moved: 0, waker: None };
        Seat { client, state: Mutex::new(state), gives_way: AtomicU8::new(STAYS) }
    }

    /// Returns whether its connection is to end as soon as it can.
    pub fn gives_way(&self) -> bool {
        self.gives_way.load(Relaxed) != STAYS
    }

    /// Returns whether its connection is to end with no regard to what is under way.
    pub fn gives_way_now(&self) -> bool {
        self.gives_way.load(Relaxed) == NOW
    }

    /// Waits until the connection is to give way, which it does first when it
    /// rests.
    pub async fn rest(&self, since: Instant, is_new: bool) {
        self.lock().doing = Doing::Rests { since, is_new };
        std::future::poll_fn(|cx| self.poll_gives_way(cx, AFTER_RESPONSE)).await;
    }

    /// Notes that the connection waits for its client within a request or a
    /// response. Ready when it is to give way.
    pub fn poll_transfers(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.lock();
        if !matches!(state.doing, Doing::Transfers { .. }) {
            state.doing = Doing::Transfers { since: Instant::now() };
            state.moved = 0;
        }
        drop(state);
        self.poll_gives_way(cx, NOW)
    }

    /// Notes that bytes have come or gone.
    pub fn moved(&self, bytes: usize) {
        self.lock().moved += bytes as u64;
    }

    /// Notes that the connection waits for its client no longer.
    pub fn works(&self) {
        self.lock().doing = Doing::Works;
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

/// A seat that is taken, until this is dropped.
pub struct Taken {
    /// The seat.
    pub seat: Arc<Seat>,
    seats: Arc<Seats>,
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.seats.lock().remove(&Arc::as_ptr(&self.seat).addr());
    }
}

#[cfg(test)]
mod tests {
    use super::{Doing, Seats, Taken};
    use host_http::client_net::ClientNet;
    use std::sync::Arc;
    use std::task::{Context, Waker};
    use std::time::Duration;
    use tokio::time::Instant;

    const GRACE: Duration = Duration::from_secs(5);

    fn net(number: u32) -> Option<ClientNet> {
        Some(ClientNet::V4(number))
    }

    /// Something that began this many seconds ago.
    fn ago(seconds: u64) -> Instant {
        Instant::now() - Duration::from_secs(seconds)
    }

    fn does(taken: &Taken, doing: Doing, moved: u64) {
        let mut state = taken.seat.lock();
        (state.doing, state.moved) = (doing, moved);
    }

    /// Which of these give way for a newcomer, one after the other.
    fn order(seats: &Seats, taken: &[&Taken], newcomer: Option<ClientNet>) -> Vec<usize> {
        let mut order = Vec::new();
        for _ in taken {
            seats.make_room(newcomer);
            for (index, taken) in taken.iter().enumerate() {
                if taken.seat.gives_way() && !order.contains(&index) {
                    order.push(index);
                }
            }
        }
        order
    }

    #[tokio::test]
    async fn idle_connections_give_way_before_slow_ones_and_the_slowest_before_others() {
        let seats = Arc::new(Seats::new(GRACE, true));
        let [works, slow, slowest, idle, idler, young, new] = [(); 7].map(|()| seats.take(net(1)));
        does(&works, Doing::Works, 0);
        does(&slow, Doing::Transfers { since: ago(20) }, 2000);
        does(&slowest, Doing::Transfers { since: ago(10) }, 500);
        does(&idle, Doing::Rests { since: ago(1), is_new: false }, 0);
        does(&idler, Doing::Rests { since: ago(2), is_new: true }, 0);
        does(&young, Doing::Transfers { since: ago(1) }, 0);
        does(&new, Doing::Rests { since: ago(0), is_new: true }, 0);
        let all = [&works, &slow, &slowest, &idle, &idler, &young, &new];
        assert_eq!(order(&seats, &all, net(1)), [4, 3, 2, 1]);
    }

    #[tokio::test]
    async fn the_client_with_the_most_connections_gives_way_first() {
        let seats = Arc::new(Seats::new(GRACE, true));
        let modest = seats.take(net(2));
        let [first, second, third] = [(); 3].map(|()| seats.take(net(1)));
        let proxy = seats.take(None);
        does(&modest, Doing::Rests { since: ago(9), is_new: false }, 0);
        does(&first, Doing::Transfers { since: ago(9) }, 1 << 20);
        does(&proxy, Doing::Works, 0);
        let all = [&modest, &first, &second, &third, &proxy];
        // Until it has no more than one more than the newcomer's client.
        assert_eq!(order(&seats, &all, net(3))[..2], [1, 0]);
        assert!(!proxy.seat.gives_way());
    }

    #[tokio::test]
    async fn clients_are_not_told_apart_where_that_is_turned_off() {
        let seats = Arc::new(Seats::new(GRACE, false));
        let modest = seats.take(net(2));
        let [first, second] = [(); 2].map(|()| seats.take(net(1)));
        does(&modest, Doing::Rests { since: ago(9), is_new: false }, 0);
        does(&first, Doing::Transfers { since: ago(9) }, 0);
        assert_eq!(order(&seats, &[&modest, &first, &second], net(3)), [0, 1]);
        drop(first);
        assert_eq!(seats.lock().len(), 2);
    }

    #[tokio::test]
    async fn a_connection_that_works_has_time_for_its_response() {
        let seats = Arc::new(Seats::new(GRACE, true));
        let greedy = [(); 3].map(|()| seats.take(net(1)));
        seats.make_room(net(2));
        let told = greedy.iter().find(|taken| taken.seat.gives_way()).unwrap();
        let mut cx = Context::from_waker(Waker::noop());
        assert!(told.seat.poll_transfers(&mut cx).is_pending());
        does(told, Doing::Transfers { since: ago(9) }, 0);
        seats.make_room(net(2));
        assert!(told.seat.poll_transfers(&mut cx).is_ready());
    }
}
