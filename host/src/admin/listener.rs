//! Serves the API on the control socket and at the address of `--admin`, concurrently with requests
//! to the handler. Input is bounded in bytes and in time.

use std::convert::Infallible;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use host_http::client_net::{ClientNet, Peer};
use host_wasm::health;
use http::header::WWW_AUTHENTICATE;
use http::{HeaderValue, Request, StatusCode};
use http_body_util::Either;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::{Notify, Semaphore};
use tokio::task::JoinSet;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::admin::api::{Api, Caller, Lifecycle};
use crate::admin::guests::{Guests, Place};
use crate::admin::peer;
use crate::admin::protocol::{ErrorReply, REQUEST_TIMEOUT};
use crate::admin::reply::{Reply, json};
use crate::admin::routes;
use crate::admin::token::Token;
use crate::admin::unread::Impatient;
use crate::serve::ending::Ending;
use crate::site::by::By;

/// Maximum number of open connections of each [`Door`]. Further connections wait to be accepted.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Number of permits for connections to the API: more than all [`Door`]s together can have open. On
/// exit, the server waits a short time until all permits are released.
pub const PERMITS: usize = 1 << 16;

/// Maximum length of the head of a request in bytes, which is also the size of the read buffer.
pub(crate) const HEAD_MAX: usize = 16 << 10;

/// Maximum time to send a reply, and maximum time for which the client of a stream may read nothing.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(10);

/// Pause after a failed `accept`, for example when no file descriptor is free.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Listener of the API, with the condition that its clients must meet.
pub enum Door {
    /// Control socket. The user of the server and root may use it. If `has_group` is set, all users
    /// whom the mode of the socket allows to connect may use it, too.
    Unix {
        /// Bound socket.
        listener: net::UnixListener,
        /// Whether the socket is open to a group.
        has_group: bool,
    },
    /// Listener at the address of `--admin`. Clients that have the token may use it.
    Tcp {
        /// Bound socket.
        listener: std::net::TcpListener,
        /// Token that requests must carry, except for operations that need none.
        token: Token,
    },
}

/// Client of a connection to the API, with the conditions that its requests must meet.
struct Guest {
    by: Result<By, String>,
    socket: Arc<OwnedFd>,
    /// Token that requests must carry, and the clients at the address of `--admin`; [`None`] at the
    /// control socket.
    at_address: Option<(Token, Arc<Guests>)>,
    /// Permit for a connection at the address of `--admin`.
    _place: Option<Place>,
}

/// Starts the thread that serves the API.
///
/// # Errors
///
/// When the thread cannot be created.
pub fn start<C>(doors: Vec<Door>, api: Api<C>) -> io::Result<()>
where
    C: Lifecycle + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let api = Arc::new(api);
    health::keep_running("control", move || {
        runtime.block_on(async {
            let mut listening = JoinSet::new();
            for door in &doors {
                match door.open() {
                    Ok(open) => drop(listening.spawn(listen(open, Arc::clone(&api)))),
                    Err(error) => warn!(%error, "cannot accept commands any more"),
                }
            }
            while let Some(ended) = listening.join_next().await {
                // The thread is restarted after a panic.
                if let Err(failed) = ended
                    && let Ok(panic) = failed.try_into_panic()
                {
                    std::panic::resume_unwind(panic);
                }
            }
        });
    })
    .map(drop)
}

/// Listener of a [`Door`], registered with the runtime of the thread that serves the API.
enum Open {
    Unix(UnixListener, bool),
    Tcp(TcpListener, Token, Arc<Guests>),
}

/// Accepted connection.
enum Stream {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Door {
    fn open(&self) -> io::Result<Open> {
        Ok(match self {
            Door::Unix { listener, has_group } => {
                Open::Unix(UnixListener::from_std(listener.try_clone()?)?, *has_group)
            }
            Door::Tcp { listener, token } => {
                Open::Tcp(TcpListener::from_std(listener.try_clone()?)?, token.clone(), Arc::default())
            }
        })
    }
}

impl Open {
    /// Accepts a connection. Closes it and returns [`None`] if its client has too many connections.
    async fn accept(&self) -> io::Result<Option<(Stream, Guest)>> {
        match self {
            Open::Unix(listener, has_group) => {
                let (stream, _) = listener.accept().await?;
                let by = peer::check(&stream.peer_cred()?, *has_group);
                if let Err(cause) = &by {
                    warn!(%cause, "command refused: it came from another user");
                }
                let socket = Arc::new(stream.as_fd().try_clone_to_owned()?);
                Ok(Some((Stream::Unix(stream), Guest { by, socket, at_address: None, _place: None })))
            }
            Open::Tcp(listener, token, guests) => {
                let (stream, address) = listener.accept().await?;
                let socket = Arc::new(stream.as_fd().try_clone_to_owned()?);
                let client = ClientNet::of(Peer::Ip(address.ip()));
                let place = client.map(|client| guests.enter(client));
                if matches!(place, Some(None)) {
                    debug!(by = %address, "a control connection is closed: its client has too many");
                    return Ok(None);
                }
                let at_address = Some((token.clone(), Arc::clone(guests)));
                let by = Ok(By::Remote(address));
                Ok(Some((Stream::Tcp(stream), Guest { by, socket, at_address, _place: place.flatten() })))
            }
        }
    }
}

async fn listen<C: Lifecycle + 'static>(open: Open, api: Arc<Api<C>>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        let accepted = tokio::select! {
            accepted = open.accept() => accepted,
            () = handed_over(&api.app.ending) => {
                drop(permit);
                // The thread ends with its connections: who ordered the upgrade waits for the reply.
                let _ = permits.acquire_many(CONNECTIONS_MAX as u32).await;
                return;
            }
        };
        match accepted {
            Ok(None) => {}
            Ok(Some((stream, guest))) => {
                let api = Arc::clone(&api);
                let answering = Arc::clone(&api.connections).try_acquire_owned();
                tokio::spawn(async move {
                    let served = match stream {
                        Stream::Unix(stream) => serve(stream, guest, api).await,
                        Stream::Tcp(stream) => serve(stream, guest, api).await,
                    };
                    if let Err(error) = served {
                        debug!(%error, "control connection ended early");
                    }
                    drop((permit, answering));
                });
            }
            Err(error) => {
                debug!(%error, "cannot accept control connections for now");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

/// Waits until a new process accepts connections in place of this one. Waits forever if the server
/// was stopped instead, so that the API answers until the process exits.
async fn handed_over(ending: &Ending) {
    ending.begun().await;
    if !ending.has_left() {
        std::future::pending::<()>().await;
    }
}

async fn serve<S, C>(stream: S, guest: Guest, api: Arc<Api<C>>) -> hyper::Result<()>
where
    S: AsyncRead + AsyncWrite + Unpin,
    C: Lifecycle,
{
    let (guest, answered, permit) = (&guest, &Notify::new(), &Mutex::new(None));
    let service = service_fn(|request| {
        let api = Arc::clone(&api);
        async move {
            let mut reply = answer(request, guest, &api).await;
            match reply.body_mut() {
                Either::Left(_) => answered.notify_one(),
                // A stream has no end that could be waited for.
                Either::Right(frames) => {
                    *permit.lock().unwrap_or_else(PoisonError::into_inner) = frames.take_permit();
                }
            }
            Ok::<_, Infallible>(reply)
        }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).max_buf_size(HEAD_MAX);
    // A client that closes its sending side may still wait for the reply.
    connection.half_close(true);
    // One request a connection: a client that does not read its reply is given up.
    connection.keep_alive(false);
    let given_up = async {
        answered.notified().await;
        sleep(SEND_TIMEOUT).await;
    };
    let stream = TokioIo::new(Impatient::new(stream, SEND_TIMEOUT));
    tokio::select! {
        served = connection.serve_connection(stream, service) => served,
        () = given_up => Ok(()),
    }
}

/// Answers a request if its client may use the API, and refuses it otherwise. At the address of
/// `--admin`, the request must carry the token, unless its operation needs none.
async fn answer<C: Lifecycle>(request: Request<Incoming>, guest: &Guest, api: &Api<C>) -> Reply {
    let refuse = |status, error: String| json(status, &ErrorReply { error });
    let by = match &guest.by {
        Ok(by) => *by,
        Err(cause) => return refuse(StatusCode::FORBIDDEN, cause.clone()),
    };
    let is_open = routes::is_open(request.method(), request.uri().path());
    let at_address = guest.at_address.as_ref().filter(|_| !is_open);
    let is_let_in = at_address.map_or(Ok(true), |(token, _)| token.is_in(request.headers()));
    match is_let_in {
        Ok(true) => api.answer(request, &Caller { by, socket: Arc::clone(&guest.socket) }).await,
        Ok(false) => {
            if let Some((_, guests)) = at_address {
                guests.refuse(by);
            }
            let cause = "expected the token of the server: authorization: Bearer TOKEN (--admin-token)";
            let mut reply = refuse(StatusCode::UNAUTHORIZED, cause.into());
            reply.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            reply
        }
        Err(error) => {
            warn!(cause = format!("{error:#}"), "command refused: the token cannot be read (--admin-token)");
            refuse(
                StatusCode::SERVICE_UNAVAILABLE,
                "the server cannot read its token; its log says why".into(),
            )
        }
    }
}
