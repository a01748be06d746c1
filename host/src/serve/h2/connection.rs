//! Serves one HTTP/2 connection: accepts its requests, answers them concurrently, and closes it.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::stream::{FuturesUnordered, StreamExt};
use h2::Reason;
use h2::server::Connection;
use host_http::client_net::Peer;
use host_http::h2::Breach;
use tokio::time::{Instant, Sleep, sleep, sleep_until, timeout};
use tracing::{debug, info};

use crate::net::socket::Socket;
use crate::serve::client::Client;
use crate::serve::h2::inbox::Inbox;
use crate::serve::h2::limits::builder;
use crate::serve::h2::nudge::Nudge;
use crate::serve::h2::shared::Shared;
use crate::serve::h2::stream::work;
use crate::serve::h2::wire::Wire;
use crate::serve::look::Look;
use crate::serve::slots::{FIRST_REQUEST, Slot};
use crate::serve::transport::Transport;
use crate::serve::write_pace::WriteBounds;

/// Time for which the server still accepts requests after it has sent GOAWAY, because the client
/// may have sent them before it received the GOAWAY.
const LAST: Duration = Duration::from_secs(2);

/// Idle check interval. A connection that was idle for a whole interval is parked: it frees the
/// memory of its workers.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// Minimum time between two log lines about requests that the crate `h2` has refused.
const SAY_AGAIN: Duration = Duration::from_secs(1);

/// Connection that is being served.
struct Serving<'a> {
    client: &'a Client,
    slot: &'a Slot,
    shared: &'a Shared,
    h2: Connection<Wire, Bytes>,
    inbox: &'a Inbox,
    /// Futures that answer requests ([`work`]). They never complete.
    workers: FuturesUnordered<Pin<Box<dyn Future<Output = ()> + Send + 'a>>>,
    look: Look,
    /// Timeout of a head or a frame that has arrived only in part.
    head_timer: Option<Pin<Box<Sleep>>>,
    /// Timer of [`LAST`], which starts when the client is told that the connection ends. Requests
    /// that arrive after it has elapsed are refused.
    last: Option<Pin<Box<Sleep>>>,
    /// Whether the connection ends immediately, because of [`Serving::end_now`].
    is_ending: bool,
    /// Whether a request has arrived since the connection was last parked.
    has_answered: bool,
    /// Number of requests so far: those that were accepted, and those that were counted as refused.
    requests: u64,
    /// Time of the latest log line about refused requests.
    said: Option<Instant>,
    /// Result with which the connection has ended; set while requests may still be in flight.
    end: Option<Result<(), h2::Error>>,
}

/// Serves a connection until its end. `read` has the bytes that were already read from the socket.
pub async fn serve(socket: &Socket, slot: &Arc<Slot>, client: &Client, read: BytesMut) {
    let (limits, peer) = (&client.settings().limits, client.peer());
    let shared = Arc::new(Shared::new(limits));
    let transport = Transport::new(socket.clone(), Arc::clone(slot), WriteBounds::from(limits));
    let wire = Wire::new(transport, Arc::clone(&shared), read);
    let handshake = tokio::select! {
        biased;
        handshake = timeout(limits.head_timeout, builder(limits).handshake(wire)) => handshake,
        () = poll_fn(|cx| slot.poll_transfers(cx)) => return,
        () = async {
            client.app.ending.closing().await;
            sleep(FIRST_REQUEST).await;
        } => return,
    };
    let h2 = match handshake {
        Ok(Ok(h2)) => h2,
        Ok(Err(error)) => return say(peer, &error, "HTTP/2 did not begin"),
        Err(_) => return debug!(%peer, "HTTP/2 did not begin in time (--head-timeout)"),
    };
    client.app.connections.speaks_http2();
    let inbox = Inbox::default();
    let mut serving = Serving::new(client, slot, &shared, &inbox, h2);
    let nudge = Arc::new(Nudge::default());
    let waker = Waker::from(Arc::clone(&nudge));
    let mut idle_since = Instant::now();
    loop {
        slot.works();
        let active = client.app.connections.one_more_active();
        let since = match serving.run(&nudge, &waker).await {
            Ok(Some(since)) => since,
            Ok(None) => return,
            Err(error) => return say(peer, &error, "connection ended early"),
        };
        drop(active);
        if std::mem::take(&mut serving.has_answered) {
            idle_since = since;
        }
        debug!(%peer, "connection parked");
        serving.workers.clear();
        inbox.forget_idle();
        let goes_on = tokio::select! {
            biased;
            () = socket.readable() => true,
            () = client.app.ending.begun() => false,
            () = slot.rest(idle_since, false) => false,
            () = sleep_until(idle_since + limits.idle_timeout) => false,
        };
        if !goes_on {
            serving.leave();
        }
    }
}

/// Logs why a connection has ended: at info level if the client has broken a rule of HTTP/2 or has
/// sent too many frames, otherwise at debug level.
fn say(peer: Peer, error: &h2::Error, what: &str) {
    match error.reason().filter(|_| error.is_go_away() && error.is_library()) {
        Some(reason) => info!(%peer, %reason, "{what}: the client breaks the rules of HTTP/2"),
        None => debug!(%peer, %error, "{what}"),
    }
}

impl<'a> Serving<'a> {
    fn new(
        client: &'a Client,
        slot: &'a Slot,
        shared: &'a Shared,
        inbox: &'a Inbox,
        h2: Connection<Wire, Bytes>,
    ) -> Self {
        Serving {
            client,
            slot,
            shared,
            h2,
            inbox,
            workers: FuturesUnordered::new(),
            look: Look::new(IDLE_CHECK),
            head_timer: None,
            last: None,
            is_ending: false,
            has_answered: false,
            requests: 0,
            said: None,
            end: None,
        }
    }

    /// Tells the client to send no further requests on this connection (GOAWAY).
    fn leave(&mut self) {
        if self.last.is_none() {
            self.last = Some(Box::pin(sleep(LAST)));
            self.h2.graceful_shutdown();
        }
    }

    /// Ends the connection immediately. `reason` is the error code for the client, and `why` the
    /// text for the log.
    fn end_now(&mut self, reason: Reason, why: &str) {
        if !self.is_ending {
            self.is_ending = true;
            self.last.get_or_insert_with(|| Box::pin(sleep(LAST)));
            let peer = self.client.peer();
            match reason {
                Reason::NO_ERROR => debug!(%peer, "connection ended: {why}"),
                _ => info!(%peer, %reason, "connection ended: {why}"),
            }
            self.h2.abrupt_shutdown(reason);
        }
    }

    /// Serves requests until the connection is idle or ends. Returns the time since which it has
    /// been idle; [`None`] if it has ended.
    async fn run(&mut self, nudge: &Nudge, waker: &Waker) -> Result<Option<Instant>, h2::Error> {
        let mut begun = pin!(self.client.app.ending.begun());
        poll_fn(|cx| {
            nudge.poll(waker, cx, |cx| {
                if self.last.is_none() && (self.client.is_last() || begun.as_mut().poll(cx).is_ready()) {
                    self.leave();
                }
                self.poll(cx)
            })
        })
        .await
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Instant>, h2::Error>> {
        loop {
            self.accept(cx);
            let breach = self.shared.meter().breach();
            if let Some(breach) = breach.filter(|_| !self.is_ending) {
                self.client.app.connections.breached(breach);
                let (reason, why) = match breach {
                    Breach::Resets => (Reason::ENHANCE_YOUR_CALM, "too many resets (--h2-resets)"),
                    Breach::Control => (Reason::ENHANCE_YOUR_CALM, "too many frames (--h2-control)"),
                    Breach::NoSettings => (Reason::PROTOCOL_ERROR, "it does not begin with SETTINGS"),
                };
                self.end_now(reason, why);
                continue;
            }
            // Workers never end. What they send wakes this task.
            let _ = self.workers.poll_next_unpin(cx);
            while self.inbox.needs_worker() {
                self.workers.push(Box::pin(work(self.client, self.shared, self.inbox)));
                let _ = self.workers.poll_next_unpin(cx);
            }
            let open = self.inbox.open();
            if open == 0
                && let Some(end) = self.end.take()
            {
                return Poll::Ready(end.map(|()| None));
            }
            match self.poll_times(open, cx) {
                Poll::Ready(Some(since)) => return Poll::Ready(Ok(Some(since))),
                Poll::Ready(None) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Accepts the requests that have arrived, and sends pending output.
    fn accept(&mut self, cx: &mut Context<'_>) {
        while self.end.is_none() {
            match self.h2.poll_accept(cx) {
                // A client may not tell that it knows of the end, and go on.
                Poll::Ready(Some(Ok((_, mut respond))))
                    if self.last.as_ref().is_some_and(|last| last.is_elapsed()) =>
                {
                    respond.send_reset(Reason::REFUSED_STREAM);
                }
                Poll::Ready(Some(Ok(request))) => {
                    (self.look.busy, self.has_answered) = (true, true);
                    self.requests += 1;
                    self.inbox.put(request);
                }
                Poll::Ready(Some(Err(error))) => self.end = Some(Err(error)),
                Poll::Ready(None) => self.end = Some(Ok(())),
                Poll::Pending => return self.note_refused(),
            }
        }
    }

    /// Counts and logs the requests that the crate `h2` has refused. They are those whose heads
    /// have arrived, but that `h2` has not returned.
    fn note_refused(&mut self) {
        // What waits for output was not looked at yet, and what comes after the end is not answered.
        if self.shared.is_blocked() || self.last.is_some() {
            return;
        }
        let Some(requests) = self.shared.meter().requests() else { return };
        let refused = requests.saturating_sub(self.requests);
        if refused > 0 {
            self.requests = requests;
            let is_said = self.said.is_none_or(|said| said.elapsed() > SAY_AGAIN);
            if is_said {
                self.said = Some(Instant::now());
            }
            self.client.was_refused(refused, is_said);
        }
    }

    /// Waits for the next timeout. Returns the time since which the connection has been idle;
    /// [`None`] if it was ended just now. `open` is the number of requests that were not answered
    /// yet.
    fn poll_times(&mut self, open: usize, cx: &mut Context<'_>) -> Poll<Option<Instant>> {
        if self.is_ending || self.end.is_some() {
            return Poll::Pending;
        }
        let limits = &self.client.settings().limits;
        if self.shared.meter().is_in_head() {
            let timer = self.head_timer.get_or_insert_with(|| Box::pin(sleep(limits.head_timeout)));
            if timer.as_mut().poll(cx).is_ready() {
                self.end_now(
                    Reason::ENHANCE_YOUR_CALM,
                    "a head or a frame was not whole in time (--head-timeout)",
                );
                return Poll::Ready(None);
            }
        } else {
            self.head_timer = None;
        }
        if open > 0 && self.shared.waiting() == open {
            self.shared.set_transfer(true);
            if self.slot.poll_transfers(cx).is_ready() {
                self.end_now(Reason::ENHANCE_YOUR_CALM, "too few permits for all (--connections)");
                return Poll::Ready(None);
            }
        } else if self.shared.set_transfer(false) {
            self.slot.works();
        }
        let is_over = self.last.as_mut().map(|last| last.is_elapsed() || last.as_mut().poll(cx).is_ready());
        if open > 0 || self.shared.is_blocked() {
            return Poll::Pending;
        }
        if let Some(is_over) = is_over {
            if self.slot.gives_way() {
                self.end_now(Reason::NO_ERROR, "another one takes its place (--connections)");
            } else if is_over {
                self.end_now(Reason::NO_ERROR, "the client did not close it");
            } else {
                return Poll::Pending;
            }
            return Poll::Ready(None);
        }
        match self.head_timer {
            Some(_) => Poll::Pending,
            None => self.look.poll(cx).map(Some),
        }
    }
}
