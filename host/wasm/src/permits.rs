//! Permits for calls, shared by the sites of a server. Each site has a bounded queue. A free
//! permit goes to the waiting site that holds the fewest, and within a site to the client
//! that holds the fewest. A full queue drops the last entry of the client that holds and
//! waits for the most.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A fixed number of permits for calls, shared by the sites of a server.
pub(super) struct Permits {
    state: Mutex<State>,
    max: usize,
    /// Whether a site may take a permit only while it holds fewer than are free, so that other
    /// sites get some.
    leaves_some: bool,
}

#[derive(Default)]
struct State {
    free: usize,
    /// The permits and the waiting calls of each site, by the number of its [`Share`].
    shares: BTreeMap<u64, Held>,
    /// Number of the next share.
    next: u64,
    /// Number of permits granted since the server started.
    granted: u64,
}

/// The permits that one site holds, and its waiting calls.
struct Held {
    /// Maximum number of permits of the site.
    max: usize,
    count: usize,
    /// Number of permits held by each client that holds any.
    by_client: HashMap<ClientNet, usize>,
    queue: VecDeque<Waiting>,
    /// Value of [`State::granted`] at the site's latest permit, so that sites take turns.
    latest: u64,
    /// Whether the site's [`Share`] was dropped while calls still held permits.
    is_gone: bool,
}

/// A call in the queue. The channel is closed once the call has stopped waiting.
struct Waiting {
    client: Option<ClientNet>,
    granted: oneshot::Sender<Permit>,
}

/// Bounds of one site's permits and queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Maximum number of permits that the site may hold at once.
    pub(super) max: usize,
    /// Maximum number of calls that wait for a permit.
    pub(super) queue: usize,
    /// Whether the clients of the site share its permits fairly.
    pub(super) fair: bool,
}

/// The share of one site in the permits. Dropping it lets the other sites hold more.
pub(super) struct Share {
    permits: Arc<Permits>,
    number: u64,
    bounds: Bounds,
}

/// The right to make one call. Dropping it frees the permit for another call.
pub(super) struct Permit {
    permits: Arc<Permits>,
    share: u64,
    client: Option<ClientNet>,
}

impl Permits {
    /// Creates `max` permits. If `leaves_some` is set and there are several sites, a site gets a
    /// further permit only while it holds fewer than are free.
    pub(super) fn new(max: usize, leaves_some: bool) -> Arc<Permits> {
        let state = Mutex::new(State { free: max, ..State::default() });
        Arc::new(Permits { state, max, leaves_some })
    }

    /// Adds a site, and returns its share in the permits.
    pub(super) fn share(self: &Arc<Self>, bounds: Bounds) -> Share {
        let mut state = self.lock();
        let number = state.next;
        state.next += 1;
        let (by_client, queue) = (HashMap::new(), VecDeque::new());
        let (max, count, latest, is_gone) = (bounds.max, 0, 0, false);
        state.shares.insert(number, Held { max, count, by_client, queue, latest, is_gone });
        Share { permits: Arc::clone(self), number, bounds }
    }

    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Returns how many permits are taken.
    pub(super) fn taken(&self) -> usize {
        self.max - self.lock().free
    }

    /// Returns how many calls wait for a permit.
    pub(super) fn waiting(&self) -> usize {
        self.lock().shares.values_mut().map(Held::waiting).sum()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a permit for a call of `client`, if one is free and the share may have it.
    fn take(self: &Arc<Self>, state: &mut State, share: u64, client: Option<ClientNet>) -> Option<Permit> {
        let is_shared = self.leaves_some && state.shares.len() > 1;
        let held = state.shares.get_mut(&share)?;
        let may = held.count < held.max && (!is_shared || held.count < state.free);
        state.free = state.free.checked_sub(1).filter(|_| may)?;
        state.granted += 1;
        held.count += 1;
        held.latest = state.granted;
        if let Some(client) = client {
            *held.by_client.entry(client).or_default() += 1;
        }
        Some(Permit { permits: Arc::clone(self), share, client })
    }

    /// Grants permits to as many waiting calls as possible. Returns each permit with the channel of
    /// its call, for [`send`].
    fn grant(self: &Arc<Self>, state: &mut State) -> Vec<(oneshot::Sender<Permit>, Permit)> {
        let mut granted = Vec::new();
        while state.free > 0 {
            let mut waiting: Vec<_> = (state.shares.iter_mut())
                .filter_map(|(number, held)| {
                    (held.waiting() > 0).then_some((held.count, held.latest, *number))
                })
                .collect();
            waiting.sort_unstable();
            let next = waiting.into_iter().find_map(|(.., number)| {
                let place = state.shares.get(&number)?.next()?;
                let client = state.shares.get(&number)?.queue.get(place)?.client;
                let permit = self.take(state, number, client)?;
                let call = state.shares.get_mut(&number)?.queue.remove(place)?;
                Some((call.granted, permit))
            });
            match next {
                Some(next) => granted.push(next),
                None => break,
            }
        }
        granted
    }
}

impl Share {
    pub(super) fn bounds(&self) -> Bounds {
        self.bounds
    }

    /// Returns how many permits the site holds.
    pub(super) fn taken(&self) -> usize {
        self.permits.lock().shares.get(&self.number).map_or(0, |held| held.count)
    }

    /// Returns how many calls of the site wait for a permit.
    pub(super) fn waiting(&self) -> usize {
        let mut state = self.permits.lock();
        state.shares.get_mut(&self.number).map_or(0, Held::waiting)
    }

    /// Returns a permit if one is free and the site may have it.
    pub(super) fn try_acquire(&self, client: Option<ClientNet>) -> Option<Permit> {
        let client = client.filter(|_| self.bounds.fair);
        self.permits.take(&mut self.permits.lock(), self.number, client)
    }

    /// Waits for a permit. [`None`] if none comes free within `wait`, if the queue is full, or if a
    /// call of another client takes this call's place in the queue.
    pub(super) async fn acquire(&self, client: Option<ClientNet>, wait: Duration) -> Option<Permit> {
        match self.try_acquire(client) {
            Some(permit) => Some(permit),
            None => timeout(wait, self.queue(client)?).await.ok()?.ok(),
        }
    }

    /// Waits for a permit without a time limit; [`None`] if the queue is full.
    pub(super) async fn acquire_at_last(&self) -> Option<Permit> {
        match self.try_acquire(None) {
            Some(permit) => Some(permit),
            None => self.queue(None)?.await.ok(),
        }
    }

    /// Adds a call to the queue; [`None`] if the queue is full and no other call gives way.
    /// Dropping the receiver removes the call from the queue, or frees the permit that the call got
    /// meanwhile.
    fn queue(&self, client: Option<ClientNet>) -> Option<oneshot::Receiver<Permit>> {
        let client = client.filter(|_| self.bounds.fair);
        let (granted, receiver) = oneshot::channel();
        let mut state = self.permits.lock();
        let held = state.shares.get_mut(&self.number)?;
        if held.waiting() >= self.bounds.queue {
            let place = held.displaced_by(client)?;
            // Dropping the entry's sender ends the wait of its call.
            held.queue.remove(place);
        }
        held.queue.push_back(Waiting { client, granted });
        // A permit may have come free since the caller tried to take one.
        let ready = self.permits.grant(&mut state);
        drop(state);
        send(ready);
        Some(receiver)
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        // Without the share, others may hold more.
        let mut state = self.permits.lock();
        if let Some(held) = state.shares.get_mut(&self.number) {
            held.is_gone = true;
        }
        state.forget(self.number);
        let ready = self.permits.grant(&mut state);
        drop(state);
        send(ready);
    }
}

impl State {
    /// Removes a share that is gone and holds nothing.
    fn forget(&mut self, share: u64) {
        if self.shares.get(&share).is_some_and(|held| held.is_gone && held.count == 0) {
            self.shares.remove(&share);
        }
    }
}

impl Held {
    /// Removes calls that have stopped waiting from the queue, and returns how many still wait.
    fn waiting(&mut self) -> usize {
        self.queue.retain(|waiting| !waiting.granted.is_closed());
        self.queue.len()
    }

    fn give_back(&mut self, client: Option<ClientNet>) {
        self.count -= 1;
        if let Some(client) = client
            && let Some(held) = self.by_client.get_mut(&client)
        {
            *held -= 1;
            if *held == 0 {
                self.by_client.remove(&client);
            }
        }
    }

    fn held_by(&self, client: Option<ClientNet>) -> usize {
        client.and_then(|client| self.by_client.get(&client)).copied().unwrap_or(0)
    }

    /// Returns the position in the queue of the call that gets the next permit: the first one whose
    /// client holds the fewest permits.
    fn next(&self) -> Option<usize> {
        let queue = self.queue.iter().enumerate();
        queue.min_by_key(|(_, waiting)| self.held_by(waiting.client)).map(|(place, _)| place)
    }

    /// Returns the position in a full queue of the call that gives way to a new call of the client
    /// `newcomer`: the last call of the client with the most held permits and waiting calls.
    /// [`None`] if `newcomer`, with its new call, has at least as many.
    fn displaced_by(&self, newcomer: Option<ClientNet>) -> Option<usize> {
        let mut queued = HashMap::new();
        for client in self.queue.iter().filter_map(|waiting| waiting.client) {
            *queued.entry(client).or_insert(0) += 1;
        }
        let total =
            |client: ClientNet| self.held_by(Some(client)) + queued.get(&client).copied().unwrap_or(0);
        let most = queued.keys().copied().max_by_key(|client| total(*client))?;
        let has = newcomer.map_or(0, total);
        let is_of_most = |waiting: &Waiting| waiting.client == Some(most);
        (total(most) > has + 1).then(|| self.queue.iter().rposition(is_of_most))?
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.permits.lock();
        state.free += 1;
        if let Some(held) = state.shares.get_mut(&self.share) {
            held.give_back(self.client);
        }
        state.forget(self.share);
        let ready = self.permits.grant(&mut state);
        drop(state);
        send(ready);
    }
}

/// Passes permits on to waiting calls. If a call has just stopped waiting, its permit is dropped
/// here, which grants it to the next call.
fn send(ready: Vec<(oneshot::Sender<Permit>, Permit)>) {
    for (call, permit) in ready {
        drop(call.send(permit));
    }
}

#[cfg(test)]
mod tests {
    use super::{Bounds, Permits, Share};
    use host_http::client_net::ClientNet;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};
    use std::time::Duration;

    const HOUR: Duration = Duration::from_secs(3600);

    fn net(number: u32) -> Option<ClientNet> {
        Some(ClientNet::V4(number))
    }

    fn poll<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(Waker::noop()))
    }

    fn only(max: usize, queue: usize, fair: bool) -> Share {
        Permits::new(max, true).share(Bounds { max, queue, fair })
    }

    #[tokio::test]
    async fn a_permit_goes_to_the_client_that_holds_the_fewest() {
        for (fair, first) in [(true, false), (false, true)] {
            let share = only(2, 2, fair);
            let (one, _two) = (share.try_acquire(net(1)).unwrap(), share.try_acquire(net(1)).unwrap());
            assert!(share.try_acquire(net(2)).is_none());
            let mut greedy = pin!(share.acquire(net(1), HOUR));
            let mut modest = pin!(share.acquire(net(2), HOUR));
            assert!(poll(greedy.as_mut()).is_pending() && poll(modest.as_mut()).is_pending());
            assert_eq!(share.waiting(), 2);
            drop(one);
            let (greedy, modest) = (poll(greedy.as_mut()), poll(modest.as_mut()));
            assert_eq!((greedy.is_ready(), modest.is_ready()), (first, !first));
            assert_eq!(share.taken(), 2);
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_a_call_of_the_client_with_the_most() {
        let share = only(1, 2, true);
        let _held = share.try_acquire(net(1)).unwrap();
        let (mut first, mut last) = (pin!(share.acquire(net(1), HOUR)), pin!(share.acquire(net(1), HOUR)));
        assert!(poll(first.as_mut()).is_pending() && poll(last.as_mut()).is_pending());
        let mut own = pin!(share.acquire(net(1), HOUR));
        assert!(matches!(poll(own.as_mut()), Poll::Ready(None)), "nobody else has more");
        let mut other = pin!(share.acquire(net(2), HOUR));
        assert!(poll(other.as_mut()).is_pending());
        assert!(matches!(poll(last.as_mut()), Poll::Ready(None)));
        assert!(poll(first.as_mut()).is_pending());
        // A call without a client displaces a call of a client that has more than one.
        let mut exempt = pin!(share.acquire(None, HOUR));
        assert!(poll(exempt.as_mut()).is_pending());
        assert!(matches!(poll(first.as_mut()), Poll::Ready(None)));
    }

    #[tokio::test]
    async fn a_call_that_stops_waiting_frees_its_place_and_its_permit() {
        let share = only(1, 1, true);
        let held = share.try_acquire(net(1)).unwrap();
        {
            let mut waiting = pin!(share.acquire(net(2), HOUR));
            assert!(poll(waiting.as_mut()).is_pending());
        }
        assert_eq!(share.waiting(), 0);
        {
            let mut waiting = pin!(share.acquire(net(2), HOUR));
            assert!(poll(waiting.as_mut()).is_pending());
            drop(held);
        }
        assert_eq!(share.taken(), 0);
        assert!(share.try_acquire(None).is_some());
        let held = share.try_acquire(None);
        assert!(share.acquire(None, Duration::from_millis(1)).await.is_none());
        drop(held);
    }

    #[tokio::test]
    async fn a_site_leaves_as_many_permits_as_it_holds_if_there_are_others() {
        let permits = Permits::new(8, true);
        let bounds = Bounds { max: 8, queue: 8, fair: true };
        let greedy = permits.share(bounds);
        let held: Vec<_> = std::iter::from_fn(|| greedy.try_acquire(net(1))).collect();
        assert_eq!(held.len(), 8, "a single site has all");
        drop(held);
        let modest = permits.share(bounds);
        let held: Vec<_> = std::iter::from_fn(|| greedy.try_acquire(net(1))).collect();
        assert_eq!(held.len(), 4);
        let mut waiting = pin!(greedy.acquire(net(1), HOUR));
        assert!(poll(waiting.as_mut()).is_pending());
        let others: Vec<_> = std::iter::from_fn(|| modest.try_acquire(net(2))).collect();
        assert_eq!(others.len(), 2);
        drop(others);
        assert!(poll(waiting.as_mut()).is_pending(), "that would be more than it leaves");
        // Without the other site, the permits are for the first one.
        drop(modest);
        assert!(poll(waiting.as_mut()).is_ready());
    }

    #[tokio::test]
    async fn sites_that_wait_take_turns() {
        let permits = Permits::new(1, false);
        let bounds = Bounds { max: 1, queue: 9, fair: false };
        let (first, second) = (permits.share(bounds), permits.share(bounds));
        let mut held = first.try_acquire(None);
        for _ in 0..3 {
            let (mut one, mut another) = (pin!(first.acquire(None, HOUR)), pin!(second.acquire(None, HOUR)));
            let mut third = pin!(first.acquire(None, HOUR));
            for call in [&mut one, &mut third] {
                assert!(poll(call.as_mut()).is_pending());
            }
            assert!(poll(another.as_mut()).is_pending());
            drop(held.take());
            let Poll::Ready(Some(permit)) = poll(another.as_mut()) else { panic!("the other site is next") };
            drop(permit);
            let Poll::Ready(permit) = poll(one.as_mut()) else { panic!("then the first one again") };
            held = permit;
        }
    }
}
