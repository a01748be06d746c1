//! Serves the API on the control socket, concurrently with requests to the handler. Input is
//! bounded in bytes and in time.

use std::convert::Infallible;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::net;
use std::sync::Arc;
use std::time::Duration;

use host_wasm::health;
use http::StatusCode;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime;
use tokio::sync::Semaphore;
use tokio::time::sleep;
use tracing::{debug, warn};

use crate::admin::api::{Api, Caller, Configuration, REQUEST_TIMEOUT, json};
use crate::admin::peer;
use crate::admin::protocol::ErrorReply;

/// Most control connections at once; further ones wait.
pub(crate) const CONNECTIONS_MAX: usize = 256;

/// Largest head of a request in bytes, which is also the size of the read buffer.
pub(crate) const HEAD_MAX: usize = 16 << 10;

/// Pause after a failed accept, for example when no descriptor is left.
const ACCEPT_REST: Duration = Duration::from_millis(100);

/// Starts the thread that serves the API. `has_group` tells whether the socket is open to a
/// group.
///
/// # Errors
///
/// When the thread cannot be created.
pub fn start<C>(listener: net::UnixListener, has_group: bool, api: Api<C>) -> io::Result<()>
where
    C: Configuration + 'static,
{
    let runtime = runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    let api = Arc::new(api);
    health::keep_running("control", move || {
        let (listener, api) = (listener.try_clone(), Arc::clone(&api));
        runtime.block_on(async {
            match listener.and_then(UnixListener::from_std) {
                Ok(listener) => listen(listener, has_group, api).await,
                Err(error) => warn!(%error, "cannot accept commands any more"),
            }
        });
    })
    .map(drop)
}

async fn listen<C: Configuration + 'static>(listener: UnixListener, has_group: bool, api: Arc<Api<C>>) {
    let permits = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(permit) = Arc::clone(&permits).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let api = Arc::clone(&api);
                tokio::spawn(async move {
                    if let Err(error) = serve(stream, has_group, api).await {
                        debug!(%error, "control connection ended early");
                    }
                    drop(permit);
                });
            }
            Err(error) => {
                debug!(%error, "cannot accept control connections for now");
                sleep(ACCEPT_REST).await;
            }
        }
    }
}

async fn serve<C: Configuration>(
    stream: UnixStream,
    has_group: bool,
    api: Arc<Api<C>>,
) -> anyhow::Result<()> {
    let by = peer::check(&stream.peer_cred()?, has_group);
    if let Err(cause) = &by {
        warn!(%cause, "command refused: it came from another user");
    }
    let socket = Arc::new(stream.as_fd().try_clone_to_owned()?);
    let service = service_fn(|request| {
        let (api, by, socket) = (Arc::clone(&api), by.clone(), Arc::clone(&socket));
        async move {
            Ok::<_, Infallible>(match by {
                Ok(by) => api.answer(request, &Caller { by, socket }).await,
                Err(error) => json(StatusCode::FORBIDDEN, &ErrorReply { error }),
            })
        }
    });
    let mut connection = http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(REQUEST_TIMEOUT).max_buf_size(HEAD_MAX);
    // A client that closes its sending side may still wait for the reply.
    connection.half_close(true);
    Ok(connection.serve_connection(TokioIo::new(stream), service).await?)
}
