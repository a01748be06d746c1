//! The life of one connection. While requests come it is hyper's; while none
//! comes it rests, and is no more than a socket; and it is closed in such a way
//! that the client gets to read what it was sent.

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

use crate::config::limits::Limits;
use crate::net::socket::Socket;
use crate::serve::buffers::UNCOUNTED;
use crate::serve::seats::{Seat, Seats};
use crate::serve::service::{App, Client};
use crate::serve::stream::{Bounds, Notes, Stream};

/// How long what a client goes on sending is read and thrown away after the last
/// response. A connection that is closed with something unread is reset, which
/// can take the response from the client (RFC 9112, section 9.6).
pub(crate) const LINGER: Duration = Duration::from_secs(2);

/// How much of it, in bytes.
pub(crate) const LINGER_MAX: usize = 16 << 20;

/// How often it is looked whether a connection is idle. One that was for the
/// whole of this time rests: it gives up everything but its socket. To come back
/// costs a connection more than a request does.
const LOOK: Duration = Duration::from_millis(250);

/// The same where many connections are awake, so that not too many of them keep
/// room for a request at a time.
const LOOK_AMONG_MANY: Duration = Duration::from_millis(25);

/// How many that are awake are many.
const MANY: usize = 1000;

/// How long the first request of a connection is waited for when the server is
/// about to end: it may be on its way, and the client was told that it is
/// connected.
const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// How much of a body is read at once, in bytes. More gains nothing, and each
/// connection that sends a body would hold it.
pub(crate) const READ_MAX: usize = 128 << 10;

/// How many fields a head may have for hyper unless it is told otherwise.
const HYPER_FIELDS: usize = 100;

/// What a connection takes beside its buffers, in bytes.
const CONNECTION: usize = 8 << 10;

/// Returns the most that a connection takes, in bytes: a head, which the stream and
/// hyper may each have a part of, what hyper reads at once, and a body each way
/// that is too short to be counted.
pub fn memory(limits: &Limits) -> u64 {
    (CONNECTION + 2 * limits.head_max + read_max(limits) + 2 * UNCOUNTED) as u64
}

/// How much hyper reads at once, in bytes. With less, a head might not fit.
fn read_max(limits: &Limits) -> usize {
    READ_MAX.max(limits.head_max + READ_MAX / 4)
}

/// What all connections share.
pub struct Connections {
    /// What they serve.
    pub app: Arc<App>,
    /// One for each that there may be.
    pub places: Arc<Semaphore>,
    /// Where they are.
    pub seats: Arc<Seats>,
    /// How many do not rest.
    awake: AtomicUsize,
    http: http1::Builder,
    bounds: Bounds,
}

impl Connections {
    /// Before the first.
    pub fn new(app: Arc<App>) -> Connections {
        let (http, bounds) = (http(&app.limits), Bounds::from(&app.limits));
        let places = Arc::clone(&app.places);
        let seats = Arc::new(Seats::new(app.limits.rate_window / 2, app.limits.fair_share.is_on()));
        Connections { app, places, seats, awake: AtomicUsize::new(0), http, bounds }
    }

    /// How many there are.
    pub fn open(&self) -> usize {
        self.app.limits.connections - self.places.available_permits()
    }

    /// Serves one connection until its end.
    pub async fn serve(&self, socket: Socket, peer: Peer) {
        let taken = self.seats.take(client_net(peer, &self.app.trusted));
        let notes = Arc::new(Notes::new(Arc::clone(&taken.seat)));
        let client = Arc::new(Client::new(Arc::clone(&self.app), peer, socket.clone(), notes));
        let mut idle_since = Instant::now();
        let mut is_new = true;
        while self.rest(&socket, &taken.seat, idle_since, is_new).await {
            is_new = false;
            taken.seat.works();
            // After an error a response may have been sent in part, and nothing may
            // come behind it.
            match self.serve_requests(&socket, &client).await.and_then(|()| client.notes.idle_since()) {
                Some(since) => {
                    debug!(%peer, "a connection rests");
                    idle_since = since;
                }
                // There is no time for more.
                None if taken.seat.gives_way_now() => return,
                None => return linger(&socket).await,
            }
        }
    }

    /// Waits until something comes. False when the connection is to be closed
    /// instead, of which nothing is unread then. (One that does not rest when
    /// the server is about to end gets there in less than a second, or is told
    /// by its next response.)
    async fn rest(&self, socket: &Socket, seat: &Seat, since: Instant, is_new: bool) -> bool {
        let limits = &self.app.limits;
        tokio::select! {
            biased;
            () = socket.readable() => return true,
            () = self.app.ending.begun() => if is_new {
                let _ = timeout(FIRST_REQUEST, socket.readable()).await;
            },
            () = seat.rest(since, is_new) => {}
            () = sleep_until(since + limits.idle_timeout) => {}
        }
        socket.has_input()
    }

    /// Leaves the connection to hyper, until there is nothing more to do for it.
    /// None when that was because of an error.
    async fn serve_requests(&self, socket: &Socket, client: &Arc<Client>) -> Option<()> {
        let answering = Arc::clone(client);
        let service = service_fn(move |request| Arc::clone(&answering).answer(request));
        let awake = Awake::one_more(&self.awake);
        let look = if awake.count > MANY { LOOK_AMONG_MANY } else { LOOK };
        let stream = Stream::new(socket.clone(), self.bounds, look, Arc::clone(&client.notes));
        // In a box, so that a connection which rests does not keep room for it.
        let serving = Box::pin(self.http.serve_connection(TokioIo::new(stream), service));
        let Err(error) = serving.await else {
            return Some(());
        };
        let peer = client.peer();
        if error.is_parse() {
            // Stricter rules than the stream's. hyper has answered it already.
            self.app.faults.add("malformed");
            info!(target: "request", %peer, cause = %error, "malformed");
        } else {
            debug!(%peer, error = format!("{:#}", anyhow::Error::new(error)), "a connection ended early");
        }
        None
    }
}

/// One that does not rest, until this is dropped.
struct Awake<'a> {
    all: &'a AtomicUsize,
    /// How many there are with it.
    count: usize,
}

impl Awake<'_> {
    fn one_more(all: &AtomicUsize) -> Awake<'_> {
        Awake { all, count: all.fetch_add(1, Relaxed) + 1 }
    }
}

impl Drop for Awake<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(1, Relaxed);
    }
}

/// hyper. Its timeout for heads is not armed: `stream` has one that costs less.
fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    // The stream holds heads to the limit. hyper takes 100 fields as it is, and
    // more time where it is told how many.
    if limits.fields_max > HYPER_FIELDS {
        http.max_headers(limits.fields_max);
    }
    http.max_header_size(limits.head_max)
        .max_buf_size(read_max(limits))
        // A client that has said all it wants to say may still listen.
        .half_close(true)
        // Flushing once for many pipelined requests would keep a response back
        // for as long as the request behind it is not whole.
        .pipeline_flush(false);
    http
}

/// Closes a connection whose client may still be sending.
async fn linger(socket: &Socket) {
    // hyper has done it already, unless it met an error.
    let _ = socket.finish();
    let throw_away = async {
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
    let _ = timeout(LINGER, throw_away).await;
}
