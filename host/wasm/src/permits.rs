//! Permits for calls, with a bounded queue. With fair sharing, a free permit goes to
//! the waiting client that holds the fewest permits, and a full queue drops the last
//! entry of the client that holds and waits for the most.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use host_http::client_net::ClientNet;
use tokio::sync::oneshot;
use tokio::time::timeout;

/// A fixed number of permits with a queue of bounded length.
pub(super) struct Permits {
    state: Mutex<State>,
    max: usize,
    queue_max: usize,
    /// Whether permits are shared fairly among clients.
    fair: bool,
}

#[derive(Default)]
struct State {
    free: usize,
    /// Permits held by each client that holds any.
    held: HashMap<ClientNet, usize>,
    queue: VecDeque<Waiting>,
}

/// A call in the queue. The channel is closed once the call has stopped waiting.
struct Waiting {
    client: Option<ClientNet>,
    granted: oneshot::Sender<Permit>,
}

/// The right to make one call, until it is dropped.
pub(super) struct Permit {
    permits: Arc<Permits>,
    client: Option<ClientNet>,
}

impl Permits {
    pub(super) fn new(max: usize, queue_max: usize, fair: bool) -> Arc<Permits> {
        let state = Mutex::new(State { free: max, ..State::default() });
        Arc::new(Permits { state, max, queue_max, fair })
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
        self.lock().queue.len()
    }

    /// Returns a permit if one is free.
    pub(super) fn try_acquire(self: &Arc<Self>, client: Option<ClientNet>) -> Option<Permit> {
        let client = client.filter(|_| self.fair);
        let mut state = self.lock();
        state.free = state.free.checked_sub(1)?;
        state.hold(client);
        Some(Permit { permits: Arc::clone(self), client })
    }

    /// Waits for a permit; [`None`] if none comes free in time, or the queue is full.
    pub(super) async fn acquire(
        self: &Arc<Self>,
        client: Option<ClientNet>,
        wait: Duration,
    ) -> Option<Permit> {
        match self.try_acquire(client) {
            Some(permit) => Some(permit),
            None => timeout(wait, self.queue(client)?).await.ok()?.ok(),
        }
    }

    /// Queues a call; [`None`] if the queue is full and no other call is dropped for it.
    /// Dropping the receiver frees its place, and a permit that was granted meanwhile.
    fn queue(&self, client: Option<ClientNet>) -> Option<oneshot::Receiver<Permit>> {
        let client = client.filter(|_| self.fair);
        let mut state = self.lock();
        if state.queue.len() >= self.queue_max {
            let place = state.displaced_by(client)?;
            // Dropping the entry's sender ends the wait of its call.
            state.queue.remove(place);
        }
        let (granted, receiver) = oneshot::channel();
        state.queue.push_back(Waiting { client, granted });
        Some(receiver)
    }

    /// Locks the state, and removes calls from the queue that have stopped waiting.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.queue.retain(|waiting| !waiting.granted.is_closed());
        state
    }
}

impl State {
    fn hold(&mut self, client: Option<ClientNet>) {
        if let Some(client) = client {
            *self.held.entry(client).or_default() += 1;
        }
    }

    fn give_back(&mut self, client: Option<ClientNet>) {
        if let Some(client) = client
            && let Some(held) = self.held.get_mut(&client)
        {
            *held -= 1;
            if *held == 0 {
                self.held.remove(&client);
            }
        }
    }

    fn held_by(&self, client: Option<ClientNet>) -> usize {
        client.and_then(|client| self.held.get(&client)).copied().unwrap_or(0)
    }

    /// Removes the next call from the queue: the first one whose client holds the fewest
    /// permits.
    fn next(&mut self) -> Option<Waiting> {
        let queue = self.queue.iter().enumerate();
        let (place, _) = queue.min_by_key(|(_, waiting)| self.held_by(waiting.client))?;
        self.queue.remove(place)
    }

    /// Returns the position in a full queue to drop for a newcomer: the last one of the
    /// client that holds and waits for the most, if that is more than the newcomer's
    /// client would then have.
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
        state.give_back(self.client);
        let Some(Waiting { client, granted }) = state.next() else {
            state.free += 1;
            return;
        };
        state.hold(client);
        drop(state);
        // If that call has just stopped waiting, the permit comes back and is dropped
        // here, which passes it on to the next call.
        drop(granted.send(Permit { permits: Arc::clone(&self.permits), client }));
    }
}

#[cfg(test)]
mod tests {
    use super::Permits;
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

    #[tokio::test]
    async fn a_permit_goes_to_the_client_that_holds_the_fewest() {
        for (fair, first) in [(true, false), (false, true)] {
            let permits = Permits::new(2, 2, fair);
            let (one, _two) = (permits.try_acquire(net(1)).unwrap(), permits.try_acquire(net(1)).unwrap());
            assert!(permits.try_acquire(net(2)).is_none());
            let mut greedy = pin!(permits.acquire(net(1), HOUR));
            let mut modest = pin!(permits.acquire(net(2), HOUR));
            assert!(poll(greedy.as_mut()).is_pending() && poll(modest.as_mut()).is_pending());
            assert_eq!(permits.waiting(), 2);
            drop(one);
            let (greedy, modest) = (poll(greedy.as_mut()), poll(modest.as_mut()));
            assert_eq!((greedy.is_ready(), modest.is_ready()), (first, !first));
            assert_eq!(permits.taken(), 2);
        }
    }

    #[tokio::test]
    async fn a_full_queue_drops_a_call_of_the_client_with_the_most() {
        let permits = Permits::new(1, 2, true);
        let _held = permits.try_acquire(net(1)).unwrap();
        let (mut first, mut last) =
            (pin!(permits.acquire(net(1), HOUR)), pin!(permits.acquire(net(1), HOUR)));
        assert!(poll(first.as_mut()).is_pending() && poll(last.as_mut()).is_pending());
        let mut own = pin!(permits.acquire(net(1), HOUR));
        assert!(matches!(poll(own.as_mut()), Poll::Ready(None)), "nobody else has more");
        let mut other = pin!(permits.acquire(net(2), HOUR));
        assert!(poll(other.as_mut()).is_pending());
        assert!(matches!(poll(last.as_mut()), Poll::Ready(None)));
        assert!(poll(first.as_mut()).is_pending());
        // A call without a client displaces a call of a client that has more than one.
        let mut exempt = pin!(permits.acquire(None, HOUR));
        assert!(poll(exempt.as_mut()).is_pending());
        assert!(matches!(poll(first.as_mut()), Poll::Ready(None)));
    }

    #[tokio::test]
    async fn a_call_that_stops_waiting_frees_its_place_and_its_permit() {
        let permits = Permits::new(1, 1, true);
        let held = permits.try_acquire(net(1)).unwrap();
        {
            let mut waiting = pin!(permits.acquire(net(2), HOUR));
            assert!(poll(waiting.as_mut()).is_pending());
        }
        assert_eq!(permits.waiting(), 0);
        {
            let mut waiting = pin!(permits.acquire(net(2), HOUR));
            assert!(poll(waiting.as_mut()).is_pending());
            drop(held);
        }
        assert_eq!((permits.taken(), permits.lock().held.len()), (0, 0));
        assert!(permits.try_acquire(None).is_some());
        let held = permits.try_acquire(None);
        assert!(permits.acquire(None, Duration::from_millis(1)).await.is_none());
        drop(held);
    }
}
