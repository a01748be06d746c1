//! Life of one connection. hyper serves it while requests arrive. An idle connection is
//! parked and keeps only its socket. A closing connection is drained, so that the client
//! can read the last response.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use bytes::BytesMut;
use host_http::client_net::Peer;
use host_http::forwarded::client_net;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use crate::config::connection::ConnectionLimits;
use crate::net::socket::Socket;
use crate::serve::buffers::UNCOUNTED;
use crate::serve::service::{App, Client};
use crate::serve::slots::{Slot, Slots};
use crate::serve::stream::{Bounds, Notes, Stream};

/// Longest time to drain a closing connection. Closing a socket with unread input sends a
/// reset, which can destroy the response on its way to the client (RFC 9112,
/// section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// Most bytes to drain from a closing connection.
pub(crate) const LINGER_MAX: usize = 16 << 20;

/// Idle check interval. A connection that was idle for a whole interval is parked:
/// it frees everything but its socket. Resuming a parked connection costs more than
/// a request does.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// Idle check interval when many connections are active, so that fewer of them hold
/// buffers at the same time.
const IDLE_CHECK_UNDER_LOAD: Duration = Duration::from_millis(25);

/// Active connections above which idle ones are parked sooner.
const ACTIVE_MANY: usize = 1000;

/// Longest wait, during shutdown, for the first request of a connection. The client is
/// connected already, and its request may be on the way.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// Largest read of a body, in bytes. Larger reads are no faster, and each
/// connection that sends a body holds one buffer of this size.
pub(crate) const READ_MAX: usize = 128 << 10;

/// Default number of header fields that hyper accepts, and of trailers.
pub(crate) const HYPER_FIELDS_DEFAULT: usize = 100;

/// Memory of a connection besides its buffers, in bytes.
const CONNECTION: usize = 8 << 10;

/// Returns the most memory of a connection, in bytes: a request head in the buffers of
/// both the stream and hyper, hyper's read buffer, and a body in each direction that is
/// too short to be counted.
pub fn memory(limits: &ConnectionLimits) -> u64 {
    (CONNECTION + 2 * limits.head_max + read_max(limits) + 2 * UNCOUNTED) as u64
}

/// Returns the size of hyper's read buffer in bytes, which must hold the longest head.
fn read_max(limits: &ConnectionLimits) -> usize {
    READ_MAX.max(limits.head_max + READ_MAX / 4)
}

/// State shared by all connections.
pub struct Connections {
    /// Application that the connections serve.
    pub app: Arc<App>,
    /// Permits, one for each open connection.
    pub permits: Arc<Semaphore>,
    /// Open connections, from which those to close are chosen when no permit is left.
    pub slots: Arc<Slots>,
    /// Number of active connections: all that are not parked.
    active: AtomicUsize,
    http: http1::Builder,
    bounds: Bounds,
}

impl Connections {
    /// Creates the shared state, with no connection open.
    pub fn new(app: Arc<App>) -> Connections {
        let (http, bounds) = (http(&app.limits.connection), Bounds::from(&app.limits.connection));
        let permits = Arc::clone(&app.permits);
        let slots =
            Arc::new(Slots::new(app.limits.connection.rate_window / 2, app.limits.server.fair_share.is_on()));
        Connections { app, permits, slots, active: AtomicUsize::new(0), http, bounds }
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.app.limits.server.connections - self.permits.available_permits()
    }

    /// Serves one connection until its end.
    pub async fn serve(&self, socket: Socket, peer: Peer) {
        let taken = self.slots.take(client_net(peer, &self.app.trusted));
        let notes = Arc::new(Notes::new(Arc::clone(&taken.slot)));
        let client = Arc::new(Client::new(Arc::clone(&self.app), peer, socket.clone(), notes));
        let mut idle_since = Instant::now();
        let mut is_new = true;
        while self.rest(&socket, &taken.slot, idle_since, is_new).await {
            is_new = false;
            taken.slot.works();
            // Closes the connection after an error: a response may have been sent in
            // part, and nothing may follow it.
            match self.serve_requests(&socket, &client).await.and_then(|()| client.notes.idle_since()) {
                Some(since) => {
                    debug!(%peer, "connection parked");
                    idle_since = since;
                }
                // Skips draining: a new connection waits for the permit.
                None if taken.slot.gives_way_now() => return,
                None => return linger(&socket).await,
            }
        }
    }

    /// Waits for input on a parked or new connection. Returns false when the connection is
    /// to be closed; then no input is unread. (A connection that is active when shutdown
    /// begins is parked within a second, or its next response says `connection: close`.)
    async fn rest(&self, socket: &Socket, slot: &Slot, since: Instant, is_new: bool) -> bool {
        let limits = &self.app.limits.connection;
        tokio::select! {
            biased;
            () = socket.readable() => return true,
            () = self.app.ending.begun() => if is_new {
                let _ = timeout(FIRST_REQUEST, socket.readable()).await;
            },
            () = slot.rest(since, is_new) => {}
            () = sleep_until(since + limits.idle_timeout) => {}
        }
        socket.has_input()
    }

    /// Lets hyper serve requests until the connection is idle or ends. Returns `None`
    /// after an error.
    async fn serve_requests(&self, socket: &Socket, client: &Arc<Client>) -> Option<()> {
        let answering = Arc::clone(client);
        let service = service_fn(move |request| Arc::clone(&answering).answer(request));
        let active = Active::one_more(&self.active);
        let idle_check = if active.count > ACTIVE_MANY { IDLE_CHECK_UNDER_LOAD } else { IDLE_CHECK };
        let stream = Stream::new(socket.clone(), self.bounds, idle_check, Arc::clone(&client.notes));
        // Boxed, so that a parked connection does not reserve memory for this
        // future.
        let serving = Box::pin(self.http.serve_connection(TokioIo::new(stream), service));
        let Err(error) = serving.await else {
            return Some(());
        };
        let peer = client.peer();
        if error.is_parse() {
            // Counted and logged here, because hyper itself has sent the response: its
            // parser refused a head that the stream accepts.
            self.app.faults.add("malformed");
            info!(target: "request", %peer, cause = %error, "malformed");
        } else {
            debug!(%peer, error = format!("{:#}", anyhow::Error::new(error)), "connection ended early");
        }
        None
    }
}

/// Counts a connection as active until dropped.
struct Active<'a> {
    all: &'a AtomicUsize,
    /// Number of active connections, this one included.
    count: usize,
}

impl Active<'_> {
    fn one_more(all: &AtomicUsize) -> Active<'_> {
        Active { all, count: all.fetch_add(1, Relaxed) + 1 }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

/// Configures hyper. The timeout for heads is enforced by `serve::stream`, which costs
/// less than hyper's.
fn http(limits: &ConnectionLimits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The stream enforces the limit on headers. hyper takes longer for each head when its
    // own limit is changed, so the limit is only raised, never lowered.
    if limits.fields_max > HYPER_FIELDS_DEFAULT {
        http.max_headers(limits.fields_max);
    }
    http.max_header_size(limits.head_max)
        .max_buf_size(read_max(limits))
        // A client that has closed its sending side may still read the response.
        .half_close(true)
        // Flushing once for several pipelined requests would delay a response until
        // the request behind it is complete.
        .pipeline_flush(false);
    http
}

/// Closes a connection after draining what the client still sends.
async fn linger(socket: &Socket) {
    // Closes the sending side, which hyper leaves open after an error.
    let _ = socket.finish();
    let discard = async {
        let mut unread = BytesMut::new();
        let mut left = LINGER_MAX;
        loop {
            unread.clear();
            unread.reserve(8192);
            let received = std::future::poll_fn(|cx| socket.poll_read(cx, &mut unread)).await;
            left = match received {
                Ok(received @ 1..) if received < left => left - received,
                _ => return,
            };
        }
    };
    let _ = timeout(LINGER, discard).await;
}
