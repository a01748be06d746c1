//! The server: accepts connections from listeners that are bound already, and
//! ends when it is told to, after the requests in flight.

use std::future::Future;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::http::{App, Connection};
use crate::limits::Limits;
use crate::socket::{Socket, Stream};

/// How long accepting rests when the system has no descriptor or memory left
/// for a connection. Those that wait are still there afterwards.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Serves until `shutdown` is over and the requests in flight are answered, or
/// the time for that is.
///
/// # Errors
///
/// When a listener cannot be used at all.
pub async fn serve(
    listeners: Vec<TcpListener>,
    app: Arc<App>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let drain = app.limits.drain;
    let connections = Arc::new(GracefulShutdown::new());
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        accepting.spawn(accept(listener, Arc::clone(&app), Arc::clone(&connections)));
    }

    shutdown.await;
    accepting.shutdown().await;
    // All who shared it have just ended.
    let Some(connections) = Arc::into_inner(connections) else {
        return Ok(());
    };
    info!(connections = connections.count(), "stopping: requests in flight are answered first");
    if timeout(drain, connections.shutdown()).await.is_err() {
        warn!("not all requests were answered in time (the limit is --drain)");
    }
    Ok(())
}

async fn accept(listener: tokio::net::TcpListener, app: Arc<App>, connections: Arc<GracefulShutdown>) {
    let http = http(&app.limits);
    let mut resting = false;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                resting = false;
                serve_connection(&http, stream, peer, &app, &connections);
            }
            // The client went away before it was its turn.
            Err(error) if is_of_the_connection(&error) => debug!(%error, "a connection was not accepted"),
            Err(error) => {
                if !resting {
                    warn!(%error, "cannot accept connections for now");
                }
                resting = true;
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

fn serve_connection(
    http: &http1::Builder,
    stream: TcpStream,
    peer: SocketAddr,
    app: &Arc<App>,
    connections: &GracefulShutdown,
) {
    let socket = Socket::new(stream);
    let connection = Arc::new(Connection::new(Arc::clone(app), peer.ip(), socket.clone()));
    let service = service_fn(move |request| {
        let connection = Arc::clone(&connection);
        async move { connection.answer(request).await }
    });
    let stream = Stream::new(socket, app.limits.write_timeout);
    let faults = Arc::clone(&app.faults);
    let serving = connections.watch(http.serve_connection(TokioIo::new(stream), service));
    tokio::spawn(async move {
        match serving.await {
            Ok(()) => {}
            // hyper has answered it already, where it could: 400, 414 or 431.
            Err(error) if error.is_parse() => {
                faults.add("malformed");
                info!(target: "request", %peer, cause = %error, "malformed");
            }
            Err(error) => {
                debug!(%peer, error = format!("{:#}", anyhow::Error::new(error)), "a connection ended early")
            }
        }
    });
}

/// hyper, with every bound of its own set.
fn http(limits: &Limits) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(limits.head_timeout)
        .max_headers(limits.fields_max)
        .max_header_size(limits.head_max)
        // A client that has said all it wants to say may still listen.
        .half_close(true)
        // Flushing once for many pipelined requests would keep a response back
        // for as long as the request behind it is not whole.
        .pipeline_flush(false);
    http
}

/// Whether accepting failed because of the connection that was to be accepted,
/// rather than for want of something that all connections need.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
