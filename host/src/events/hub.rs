//! Keeps the latest events in two rings, and sends them to the clients that subscribe. Each client
//! only has a position in the rings, so a slow client delays no other client.

use std::collections::VecDeque;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::timeout;

use crate::events::event::Event;
use crate::events::ring::{Kept, Ring};
use crate::events::traffic::Traffic;
use crate::fault_counts::Recent;

pub use crate::events::ring::BYTES_MAX;

/// Maximum number of change events that are kept for clients that reconnect. Changes are all events
/// except faults.
pub const CHANGES_MAX: usize = 256;

/// Maximum number of fault events that are kept until the subscribed clients have received them.
pub const FAULTS_MAX: usize = 64;

/// Maximum number of concurrent event streams.
pub const STREAMS_MAX: u32 = 32;

/// Maximum time to wait on exit until the last events are sent.
pub const FLUSH: Duration = Duration::from_secs(1);

/// Events of the whole server: changes, faults, and samples of the traffic.
pub struct Events {
    /// Samples of the traffic, which clients follow in streams of their own.
    pub traffic: Traffic,
    /// Random prefix of all event ids. It differs in each process, so that an id of an earlier
    /// process is recognized.
    process: String,
    rings: Mutex<Rings>,
    /// Channel that wakes the listeners at each event.
    told: watch::Sender<()>,
    streams: Arc<Semaphore>,
}

struct Rings {
    changes: Ring,
    faults: Ring,
    /// Number of events that were added to both rings since the start.
    count: u64,
    has_ended: bool,
}

/// Subscription of one client, with its position in the rings.
pub struct Listener {
    events: Arc<Events>,
    told: watch::Receiver<()>,
    /// Lines that are sent before the events of the rings: an id at which the client can resume,
    /// and a notice if events were missed.
    first: VecDeque<Bytes>,
    /// Number of the next change to send.
    change: u64,
    /// Number of the next fault to send.
    fault: u64,
}

/// Result of looking for the next event of a [`Listener`].
enum Found {
    Event(Bytes),
    Nothing,
    End,
}

impl Default for Events {
    fn default() -> Events {
        Events {
            traffic: Traffic::default(),
            // The standard library draws the keys of this hash from the system's generator.
            process: format!("{:016x}", RandomState::new().build_hasher().finish()),
            rings: Mutex::new(Rings {
                changes: Ring::new(CHANGES_MAX),
                faults: Ring::new(FAULTS_MAX),
                count: 0,
                has_ended: false,
            }),
            told: watch::Sender::new(()),
            streams: Arc::new(Semaphore::new(STREAMS_MAX as usize)),
        }
    }
}

impl Events {
    /// Sends a change event to all listeners, and keeps it for clients that reconnect.
    pub fn tell(&self, change: &Event) {
        let lines = change.lines();
        let mut rings = self.rings();
        let id = self.id(rings.changes.end());
        let event = rings.kept(format!("{id}{lines}"));
        rings.changes.push(event);
        drop(rings);
        self.told.send_replace(());
    }

    /// Sends a fault to all listeners, if there are any.
    pub fn fault(&self, fault: &Recent) {
        if self.told.receiver_count() == 0 {
            return;
        }
        let lines = Event::Fault(fault.clone()).lines();
        let mut rings = self.rings();
        let event = rings.kept(lines);
        rings.faults.push(event);
        drop(rings);
        self.told.send_replace(());
    }

    /// Returns a permit for an event stream, or [`None`] if [`STREAMS_MAX`] streams are open.
    pub fn permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.streams).try_acquire_owned().ok()
    }

    /// Ends all event streams, and waits at most [`FLUSH`] until their last events are sent.
    pub async fn end(&self) {
        self.rings().has_ended = true;
        self.told.send_replace(());
        // A client that does not read is not waited for.
        let _ = timeout(FLUSH, self.streams.acquire_many(STREAMS_MAX)).await;
    }

    /// Subscribes a client to the events from now on. If `last` is the id of a change, begins with
    /// the change after it. If `last` is unknown, the client first gets a notice of missed events,
    /// and then all kept changes.
    pub fn listen(self: &Arc<Self>, last: Option<&str>) -> Listener {
        let told = self.told.subscribe();
        let rings = self.rings();
        let known = last.map(|id| self.number(id).filter(|number| *number < rings.changes.end()));
        let change = match known {
            None => rings.changes.end(),
            Some(Some(number)) => number + 1,
            Some(None) => rings.changes.first(),
        };
        let fault = rings.faults.end();
        drop(rings);
        // An id without an event, so that a client that has seen no change yet can come back, too.
        let mut first = VecDeque::from([format!("{}\n", self.id(change - 1)).into()]);
        if known == Some(None) {
            first.push_back(Event::missed(None).lines().into());
        }
        Listener { events: Arc::clone(self), told, first, change, fault }
    }

    fn id(&self, number: u64) -> String {
        format!("id: {}-{number}\n", self.process)
    }

    /// Returns the number in the id of a change, or [`None`] if the id is not from this process.
    fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.process)?.strip_prefix('-')?.parse().ok()
    }

    fn rings(&self) -> MutexGuard<'_, Rings> {
        self.rings.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rings {
    fn kept(&mut self, text: String) -> Kept {
        self.count += 1;
        Kept { order: self.count, text: text.into() }
    }
}

impl Listener {
    /// Waits for the next event, and returns its lines in the event stream. Returns [`None`] after
    /// the last event, once [`Events::end`] was called.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(lines) = self.first.pop_front() {
                return Some(lines);
            }
            match self.find() {
                Found::Event(lines) => return Some(lines),
                Found::End => return None,
                Found::Nothing => self.told.changed().await.ok()?,
            }
        }
    }

    fn find(&mut self) -> Found {
        let events = Arc::clone(&self.events);
        let rings = events.rings();
        let Rings { changes, faults, has_ended, .. } = &*rings;
        let lost = changes.first().saturating_sub(self.change) + faults.first().saturating_sub(self.fault);
        if lost > 0 {
            self.change = self.change.max(changes.first());
            self.fault = self.fault.max(faults.first());
            return Found::Event(Event::missed(Some(lost)).lines().into());
        }
        let (change, fault) = (changes.get(self.change), faults.get(self.fault));
        let is_change = match (change, fault) {
            (Some(change), Some(fault)) => change.order < fault.order,
            _ => change.is_some(),
        };
        let (number, next) = if is_change { (&mut self.change, change) } else { (&mut self.fault, fault) };
        match next {
            Some(event) => {
                *number += 1;
                Found::Event(event.text.clone())
            }
            None if *has_ended => Found::End,
            None => Found::Nothing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CHANGES_MAX, Events, FAULTS_MAX, Listener};
    use crate::events::event::Event;
    use crate::fault_counts::Recent;
    use std::pin::pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use tokio::runtime;

    fn fault(id: &str) -> Recent {
        Recent {
            time: String::new(),
            id: id.into(),
            fault: "trap".into(),
            status: 500,
            method: "GET".into(),
            target: "/".into(),
            site: None,
            version: Some(1),
            cause: String::new(),
        }
    }

    fn change(events: &Events, site: &str) {
        events.tell(&Event::site_removed(site, "file"));
    }

    /// Returns the next lines of a listener without waiting: [`None`] if there are none yet, and an
    /// empty text at the end of the stream.
    fn now(listener: &mut Listener) -> Option<String> {
        match pin!(listener.next()).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(lines) => Some(String::from_utf8(lines.unwrap_or_default().to_vec()).unwrap()),
            Poll::Pending => None,
        }
    }

    /// Reads the first lines of a stream, and returns the id in them.
    fn begin(listener: &mut Listener) -> String {
        let lines = now(listener).unwrap();
        lines.strip_prefix("id: ").unwrap().strip_suffix("\n\n").unwrap().to_owned()
    }

    #[test]
    fn changes_and_faults_come_in_their_order() {
        let events = Arc::new(Events::default());
        events.fault(&fault("unseen"));
        change(&events, "unseen");
        let mut listener = events.listen(None);
        assert!(begin(&mut listener).ends_with("-1"));
        assert_eq!(now(&mut listener), None);
        events.fault(&fault("1"));
        change(&events, "a");
        events.fault(&fault("2"));
        let all = [(); 3].map(|()| now(&mut listener).unwrap());
        assert!(all[0].starts_with("event: fault\n") && all[0].contains("\"id\":\"1\""), "{all:?}");
        assert!(all[1].starts_with("id: ") && all[1].contains("-2\nevent: site-removed\n"), "{all:?}");
        assert!(all[2].contains("\"id\":\"2\""), "{all:?}");
        assert_eq!(now(&mut listener), None);
    }

    #[test]
    fn a_client_that_comes_back_gets_the_changes_that_it_has_not_seen() {
        let events = Arc::new(Events::default());
        let id = begin(&mut events.listen(None));
        change(&events, "a");
        change(&events, "b");
        let mut listener = events.listen(Some(&id));
        assert_eq!(begin(&mut listener), id);
        assert!(now(&mut listener).unwrap().contains("\"site\":\"a\""));
        let mut listener = events.listen(Some(&id.replace("-0", "-1")));
        begin(&mut listener);
        assert!(now(&mut listener).unwrap().contains("\"site\":\"b\""));
        assert_eq!(now(&mut listener), None);
    }

    #[test]
    fn an_id_that_is_not_known_is_answered_by_what_is() {
        let events = Arc::new(Events::default());
        change(&events, "a");
        let other = begin(&mut Arc::new(Events::default()).listen(None));
        let ahead = begin(&mut events.listen(None)).replace("-1", "-2");
        for id in ["", "x", &other, &ahead] {
            let mut listener = events.listen(Some(id));
            assert!(begin(&mut listener).ends_with("-0"));
            let missed = now(&mut listener).unwrap();
            assert!(missed.starts_with("event: missed\n") && !missed.contains("count"), "{missed}");
            assert!(now(&mut listener).unwrap().contains("\"site\":\"a\""));
        }
    }

    #[test]
    fn a_slow_client_is_told_how_much_it_has_missed() {
        let events = Arc::new(Events::default());
        let mut listener = events.listen(None);
        let id = begin(&mut listener);
        for _ in 0..CHANGES_MAX + 2 {
            change(&events, "a");
        }
        for _ in 0..FAULTS_MAX + 3 {
            events.fault(&fault("1"));
        }
        assert!(now(&mut listener).unwrap().contains("\"count\":5}"));
        let rest = std::iter::from_fn(|| now(&mut listener)).count();
        assert_eq!(rest, CHANGES_MAX + FAULTS_MAX);
        let mut back = events.listen(Some(&id));
        begin(&mut back);
        assert!(now(&mut back).unwrap().contains("\"count\":2}"));
    }

    #[test]
    fn a_stream_ends_behind_its_last_event() {
        let events = Arc::new(Events::default());
        let mut listener = events.listen(None);
        begin(&mut listener);
        events.tell(&Event::ending(None));
        let runtime = runtime::Builder::new_current_thread().enable_time().build().unwrap();
        // No stream has a permit, so none is waited for.
        runtime.block_on(events.end());
        assert!(now(&mut listener).unwrap().contains("event: ending"));
        assert_eq!(now(&mut listener).as_deref(), Some(""));
    }
}
