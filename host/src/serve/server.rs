//! Accepts connections from bound listeners until shutdown, then drains the
//! requests in flight.

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use host_http::client_net::Peer;
use host_http::forwarded::client_net;
use tokio::sync::{OwnedSemaphorePermit, TryAcquireError};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::events::event::Event;
use crate::net::listener::{Accepted, Listener};
use crate::serve::app::App;
use crate::serve::connection::Connections;
use crate::serve::idle_memory;
use crate::telemetry::service;

/// Pause before the next attempt when no file descriptor, memory or permit is left for a
/// new connection. Meanwhile connections wait in the kernel's queue.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// Minimum time between two warnings of the same kind.
const WARNING_INTERVAL: Duration = Duration::from_secs(60);

/// Maximum additional time after `--drain` for connections to end, if another process has taken
/// over the sockets. Idle connections are closed when this time begins.
const LAST: Duration = Duration::from_secs(1);

/// Why the server ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// A signal stops the server (SIGTERM or SIGINT).
    Stopped,
    /// The process with this id has taken over the sockets and serves instead.
    HandedOver(u32),
}

/// Serves until `end` resolves, then drains the requests in flight for at most `--drain`. After a
/// stop, closes idle connections at once; after a handover to another process, each connection may
/// send one more request.
pub async fn serve(listeners: Vec<Listener>, app: Arc<App>, end: impl Future<Output = End>) {
    let https = listeners.iter().find(|listener| listener.is_tls()).and_then(Listener::port);
    let connections = Arc::new(Connections::new(Arc::clone(&app), https));
    let idle_memory = tokio::spawn(idle_memory::give_back(Arc::clone(&app)));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let accept_loop = Arc::new(AcceptLoop { listener, connections: Arc::clone(&connections) });
        accepting.spawn(accept_loop.accept_always());
    }

    let end = end.await;
    idle_memory.abort();
    let open = connections.open();
    match end {
        End::Stopped => {
            app.ending.close();
            service::stopping();
            info!(connections = open, "shutting down: draining requests in flight");
        }
        End::HandedOver(process) => {
            app.ending.leave();
            info!(process, connections = open, "another process serves: draining requests in flight");
        }
    }
    let successor = if let End::HandedOver(process) = end { Some(process) } else { None };
    app.events.tell(&Event::ending(successor));
    let all = u32::try_from(app.limits.server.connections).unwrap_or(u32::MAX);
    let mut drained = pin!(async {
        // Waits until the backlog is accepted: its connections are established for their
        // clients, who may have sent requests.
        while accepting.join_next().await.is_some() {}
        let _ = connections.permits.acquire_many(all).await;
    });
    let mut is_drained = timeout(app.settings.get().drain, drained.as_mut()).await.is_ok();
    if !is_drained && successor.is_some() {
        app.ending.close();
        is_drained = timeout(LAST, drained).await.is_ok();
    }
    if !is_drained {
        warn!("some requests were not answered within the drain time (--drain)");
    }
}

/// Accept loop of one listener.
struct AcceptLoop {
    listener: Listener,
    connections: Arc<Connections>,
}

impl AcceptLoop {
    /// Accepts connections until shutdown. Starts again after a panic.
    async fn accept_always(self: Arc<Self>) {
        // The cause of a panic is not logged here: the panic hook has logged it.
        while tokio::spawn(Arc::clone(&self).accept()).await.is_err_and(|failed| failed.is_panic()) {
            sleep(ACCEPT_REST).await;
        }
    }

    /// Accepts connections until shutdown. Then accepts the connections that already wait in the
    /// backlog, unless another process accepts them.
    async fn accept(self: Arc<Self>) {
        let ending = &self.connections.app.ending;
        let (mut full, mut exhausted) = (LimitedWarning::default(), LimitedWarning::default());
        // Another process takes new connections from the same socket.
        while !ending.has_begun() {
            let accepted = tokio::select! {
                biased;
                accepted = self.listener.accept() => accepted,
                () = ending.begun() => break,
            };
            match accepted {
                Ok(accepted) => {
                    let Some(permit) = self.permit(accepted.peer, &mut full).await else { break };
                    self.serve(accepted, permit);
                }
                // The client closed the connection before it was accepted.
                Err(error) if is_of_the_connection(&error) => {
                    debug!(%error, "connection lost before it was accepted")
                }
                Err(error) => {
                    exhausted.log(|| warn!(%error, "cannot accept connections for now; retrying (limited by ulimit -n, LimitNOFILE, or memory; see --connections)"));
                    self.connections.slots.make_room(None);
                    sleep(ACCEPT_REST).await;
                }
            }
        }
        // Another process takes those of its sockets.
        while !ending.has_left()
            && let Ok(accepted) = self.listener.accept_now()
        {
            let Ok(permit) = self.try_permit() else { break };
            self.serve(accepted, permit);
        }
    }

    fn try_permit(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.connections.permits).try_acquire_owned()
    }

    /// Waits for a permit for a new connection. When none is left, makes other connections
    /// give way. Returns `None` on shutdown.
    async fn permit(&self, peer: Peer, full: &mut LimitedWarning) -> Option<OwnedSemaphorePermit> {
        if let Ok(permit) = self.try_permit() {
            return Some(permit);
        }
        full.log(|| {
            let limit = self.connections.app.limits.server.connections;
            warn!(
                limit,
                "connection limit reached (--connections): new connections wait, or replace idle and slow ones"
            );
        });
        let mut permit = pin!(Arc::clone(&self.connections.permits).acquire_owned());
        let client = client_net(peer, &self.connections.app.settings.get().trusted);
        loop {
            self.connections.slots.make_room(client);
            tokio::select! {
                permit = &mut permit => return permit.ok(),
                () = self.connections.app.ending.closing() => return None,
                // Tries again: perhaps no connection qualified, or the chosen one is still
                // sending a response.
                () = sleep(ACCEPT_REST) => {}
            }
        }
    }

    fn serve(&self, accepted: Accepted, permit: OwnedSemaphorePermit) {
        let connections = Arc::clone(&self.connections);
        tokio::spawn(async move {
            connections.serve(accepted).await;
            drop(permit);
        });
    }
}

/// Warning that is logged at most once per `WARNING_INTERVAL`.
#[derive(Default)]
struct LimitedWarning {
    last: Option<Instant>,
}

impl LimitedWarning {
    fn log(&mut self, log: impl FnOnce()) {
        if self.last.is_none_or(|last| last.elapsed() > WARNING_INTERVAL) {
            self.last = Some(Instant::now());
            log();
        }
    }
}

/// Returns whether accepting failed because of the accepted connection, rather than
/// because a shared resource was exhausted.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
