//! Serves a connection: reads requests and answers them one after the other. An idle connection is
//! parked, so that it keeps only its socket. At the end, the input of the connection is drained, so
//! that the client can read the last response.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use host_http::client_net::Peer;
use host_http::forwarded::client_net;
use host_http::h1::{BadMessage, Framing, HeadParser, MessageLimits, TLS_HANDSHAKE};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use tracing::debug;

use crate::config::connection::ConnectionLimits;
use crate::net::listener::{Accepted, Connection, Speaks};
use crate::net::socket::Socket;
use crate::net::tls_stream::TlsStream;
use crate::serve::app::App;
use crate::serve::buffers::UNCOUNTED;
use crate::serve::caller::{self, Caller};
use crate::serve::client::Client;
use crate::serve::h2;
use crate::serve::http1::Arrival;
use crate::serve::linger::linger;
use crate::serve::not_shaken;
use crate::serve::redirect;
use crate::serve::slots::{Slot, Slots};
use crate::serve::stream::{Arrived, Stream, TOGETHER};
use crate::serve::transport::Transport;
use crate::serve::write_pace::WriteBounds;
use crate::tls::challenges;
use crate::tls::terms::HTTP2;

/// Idle check interval. A connection that was idle for a whole interval is parked:
/// it frees everything but its socket. Resuming a parked connection costs more than
/// a request does.
const IDLE_CHECK: Duration = Duration::from_millis(250);

/// Idle check interval when many connections are active, so that fewer of them hold
/// buffers at the same time.
const IDLE_CHECK_UNDER_LOAD: Duration = Duration::from_millis(25);

/// Number of active connections above which idle ones are parked after [`IDLE_CHECK_UNDER_LOAD`].
const ACTIVE_MANY: usize = 1000;

/// Maximum time, after shutdown has begun, for which the server waits for the first request of a
/// connection. The client is connected already, so its request may be on the way.
pub(crate) const FIRST_REQUEST: Duration = Duration::from_millis(500);

/// Memory of an HTTP/1.1 connection besides its buffers, in bytes.
const CONNECTION: usize = 8 << 10;

/// Returns the maximum memory of an HTTP/1.1 connection, in bytes: the head of a request, the
/// positions of its parts, its canonical form, responses that wait to be written, and in each
/// direction the largest body that does not count towards the budget for bodies.
pub fn memory(limits: &ConnectionLimits, response_head_max: usize) -> u64 {
    let output = TOGETHER + response_head_max;
    (CONNECTION + 3 * limits.head_max + output + 2 * UNCOUNTED) as u64
}

/// Returns by how many bytes the maximum memory of an HTTP/2 connection exceeds that of an HTTP/1.1
/// connection.
pub fn more_for_http2(limits: &ConnectionLimits, response_head_max: usize) -> u64 {
    h2::limits::memory(limits).saturating_sub(memory(limits, response_head_max))
}

/// State for serving connections: the shared state, the permits and the slots.
pub struct Connections {
    /// State that all connections share.
    pub app: Arc<App>,
    /// Permits, one for each open connection.
    pub permits: Arc<Semaphore>,
    /// Slots of the open connections, from which the server chooses those to close when no permit
    /// is left.
    pub slots: Arc<Slots>,
    /// Port of a TLS listener, to which clients of plain HTTP are redirected; [`None`] without TLS.
    https: Option<u16>,
}

impl Connections {
    /// Creates the state, without open connections. `https` is the port of a TLS listener, if there
    /// is one.
    pub fn new(app: Arc<App>, https: Option<u16>) -> Connections {
        let permits = Arc::clone(&app.permits);
        let slots =
            Arc::new(Slots::new(app.limits.connection.rate_window / 2, app.limits.server.fair_share.is_on()));
        Connections { app, permits, slots, https }
    }

    /// Returns the number of open connections.
    pub fn open(&self) -> usize {
        self.app.limits.server.connections - self.permits.available_permits()
    }

    /// Serves one connection until its end.
    pub async fn serve(&self, accepted: Accepted) {
        self.app.connections.accept();
        let caller = caller::of(&accepted, &self.app, &self.slots, FIRST_REQUEST).await;
        let Some(caller @ Caller { peer, .. }) = caller else { return };
        let taken = self.slots.take(client_net(peer, &self.app.settings.get().trusted));
        let slot = Arc::clone(&taken.slot);
        let (socket, redirect) = match accepted.connection {
            Connection::Unix(stream) => (stream.into(), None),
            Connection::Tcp(stream, Speaks::Plain) => (stream.into(), None),
            Connection::Tcp(stream, Speaks::Redirect) => {
                // The handler never answers here.
                (stream.into(), Some(self.https.unwrap_or(redirect::USUAL)))
            }
            Connection::Tcp(stream, Speaks::Tls) => {
                match Box::pin(self.shake_hands(stream, peer, &slot)).await {
                    Some(shaken) => shaken,
                    None => return,
                }
            }
        };
        let client = Client::new(Arc::clone(&self.app), caller, socket.clone(), slot, redirect);
        if socket.tls().is_some_and(speaks_http2) {
            Box::pin(h2::connection::serve(&socket, &taken.slot, &client, BytesMut::new())).await;
            return close(&socket, &taken.slot).await;
        }
        let mut idle_since = Instant::now();
        let mut is_new = true;
        while self.rest(&socket, &client, &taken.slot, idle_since, is_new).await {
            is_new = false;
            taken.slot.works();
            // Boxed, so that a parked connection does not reserve memory for this
            // future.
            match Box::pin(self.serve_requests(&socket, &taken.slot, &client, idle_since)).await {
                Ok(Left::Idle(since)) => {
                    debug!(%peer, "connection parked");
                    idle_since = since;
                    continue;
                }
                Ok(Left::Http2(read)) => {
                    Box::pin(h2::connection::serve(&socket, &taken.slot, &client, read)).await;
                }
                Ok(Left::Ended) => {}
                // Closes the connection: a response may have been sent in part, and
                // nothing may follow it.
                Err(error) => debug!(%peer, %error, "connection ended early"),
            }
            return close(&socket, &taken.slot).await;
        }
    }

    /// Performs the TLS handshake, and returns the socket. If the client does not speak TLS, also
    /// returns the https port to which it is redirected. Returns `None` if the connection has
    /// ended.
    async fn shake_hands(&self, stream: TcpStream, peer: Peer, slot: &Slot) -> Option<(Socket, Option<u16>)> {
        let since = Instant::now();
        let tls = self.app.tls.as_ref()?;
        let counts = &self.app.connections;
        let shake = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first != [TLS_HANDSHAKE] {
                return Ok(Ok(Some((stream.into(), self.https))));
            }
            let shaken = match TlsStream::accept(stream, |client| tls.terms(client)).await {
                Ok(shaken) => shaken,
                Err(refused) => return Ok(Err(refused)),
            };
            counts.shaken(shaken.session(|session| session.handshake_kind()));
            // A certificate authority has seen what it asked for.
            if shaken.session(|session| session.alpn_protocol() == Some(challenges::PROTOCOL)) {
                let _ = Socket::from(shaken).finish();
                return Ok(Ok(None));
            }
            io::Result::Ok(Ok(Some((shaken.into(), None))))
        };
        let shaken = tokio::select! {
            biased;
            shaken = timeout(self.app.settings.get().limits.tls_timeout, shake) => shaken,
            () = slot.rest(since, true) => return None,
            () = async {
                self.app.ending.closing().await;
                sleep(FIRST_REQUEST).await;
            } => return None,
        };
        match shaken {
            Ok(Ok(Ok(shaken))) => return shaken,
            Ok(Ok(Err((stream, error)))) => {
                counts.not_shaken();
                not_shaken::tell(peer, &error);
                // Without it, a reset may destroy the alert on its way to the client.
                if error.kind() == io::ErrorKind::InvalidData {
                    close(&stream.into(), slot).await;
                }
                return None;
            }
            Ok(Err(error)) => debug!(%peer, %error, "TLS handshake failed"),
            Err(_) => debug!(%peer, "TLS handshake took too long (--tls-timeout)"),
        }
        counts.not_shaken();
        None
    }

    /// Waits for input on a parked or new connection. Returns false if no input has arrived and the
    /// connection has to be closed. (A connection that is active when shutdown begins is parked
    /// within a second, or its next response says `connection: close`.)
    async fn rest(
        &self,
        socket: &Socket,
        client: &Client,
        slot: &Slot,
        since: Instant,
        is_new: bool,
    ) -> bool {
        let idle_timeout = client.settings().limits.idle_timeout;
        tokio::select! {
            biased;
            () = socket.readable() => return true,
            () = self.app.ending.closing() => if is_new {
                let _ = timeout(FIRST_REQUEST, socket.readable()).await;
            },
            () = slot.rest(since, is_new) => {}
            () = sleep_until(since + idle_timeout) => {}
        }
        socket.has_input()
    }

    /// Serves HTTP/1.1 requests until the connection is idle or ends, or until the client begins to
    /// speak HTTP/2.
    async fn serve_requests(
        &self,
        socket: &Socket,
        slot: &Arc<Slot>,
        client: &Client,
        idle_since: Instant,
    ) -> io::Result<Left> {
        let active = self.app.connections.one_more_active();
        let idle_check = if active.count > ACTIVE_MANY { IDLE_CHECK_UNDER_LOAD } else { IDLE_CHECK };
        let limits = &client.settings().limits;
        let (messages, write) = (MessageLimits::from(limits), WriteBounds::from(limits));
        let transport = Transport::new(socket.clone(), Arc::clone(slot), write);
        let mut stream = Stream::new(transport, limits.head_timeout, idle_check);
        let (mut parser, mut reused) = (HeadParser::default(), client.memory());
        let mut has_answered = false;
        loop {
            // Lets other connections of the thread go on beside a long pipeline.
            consume_budget().await;
            let (length, framing) = match next_head(&mut stream, &mut parser, &messages).await? {
                Next::Head(length, framing) => (length, framing),
                // Empty lines do not end the idle time.
                Next::Idle(since) => return Ok(Left::Idle(if has_answered { since } else { idle_since })),
                Next::End => return Ok(Left::Ended),
                Next::Refused(BadMessage::Version)
                    if client.ids.count() == 0
                        && client.settings().h2c
                        && stream.input.starts_with(PREFACE_LINE) =>
                {
                    return Ok(Left::Http2(stream.input));
                }
                Next::Refused(why) => {
                    client.refuse_next(&mut stream, why).await?;
                    break;
                }
            };
            let arrival = Arrival { length, framing, parser: &parser };
            if !client.answer_next(&mut stream, arrival, &mut reused).await? {
                break;
            }
            has_answered = true;
        }
        stream.flush().await?;
        Ok(Left::Ended)
    }
}

/// Why a connection is no longer active.
enum Left {
    /// The connection is idle since this time.
    Idle(Instant),
    /// The connection is to be closed.
    Ended,
    /// The client speaks HTTP/2 without TLS, and has sent these bytes.
    Http2(BytesMut),
}

/// First line that an HTTP/2 client sends (RFC 9113, section 3.4). No HTTP/1.1 request begins with
/// this line.
const PREFACE_LINE: &[u8] = b"PRI * HTTP/2.0\r\n";

/// Returns whether client and server have agreed on HTTP/2 in the TLS handshake (ALPN).
fn speaks_http2(tls: &TlsStream) -> bool {
    tls.session(|session| session.alpn_protocol() == Some(HTTP2))
}

/// Result of the wait for the next head.
enum Next {
    /// Head of this length in bytes, and the framing of its body.
    Head(usize, Framing),
    Idle(Instant),
    End,
    Refused(BadMessage),
}

/// Sends the responses that are still pending, and waits for the next complete head.
async fn next_head(stream: &mut Stream, parser: &mut HeadParser, limits: &MessageLimits) -> io::Result<Next> {
    parser.reset();
    loop {
        match parser.read(&stream.input, limits) {
            Ok(Some((length, framing))) => {
                stream.is_complete();
                return Ok(Next::Head(length, framing));
            }
            Ok(None) => stream.flush().await?,
            Err(why) => return Ok(Next::Refused(why)),
        }
        match stream.more_of_head(parser.has_begun(&stream.input)).await? {
            Arrived::Bytes(_) => {}
            // A head that breaks off gets no response.
            Arrived::End => return Ok(Next::End),
            Arrived::Idle(since) => return Ok(Next::Idle(since)),
            Arrived::TooSlow => return Ok(Next::Refused(BadMessage::HeadTooSlow)),
            Arrived::GaveWay => return Ok(Next::Refused(BadMessage::GaveWay)),
        }
    }
}

/// Closes a connection that has ended. First drains its input, unless a new connection waits for
/// the permit of this one.
async fn close(socket: &Socket, slot: &Slot) {
    // Skips draining if a new connection waits for the permit.
    if !slot.gives_way_now() {
        linger(socket).await;
    }
}
