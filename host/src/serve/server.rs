//! The server: accepts connections from listeners that are bound already, and
//! ends when it is told to, after the requests in flight.

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

use crate::net::listener::{Accepted, Acceptor, Listener};
use crate::serve::connection::Connections;
use crate::serve::service::App;

/// How long accepting rests when the system has no descriptor or memory left
/// for a connection. Those that wait are still there afterwards.
const ACCEPT_REST: Duration = Duration::from_millis(50);

/// How long a complaint is not repeated.
const COMPLAINT_REST: Duration = Duration::from_secs(60);

/// Serves until `shutdown` is over and the requests in flight are answered, or
/// the time for that is.
///
/// # Errors
///
/// When a listener cannot be used at all.
pub async fn serve(
    listeners: Vec<Listener>,
    app: Arc<App>,
    shutdown: impl Future<Output = ()>,
) -> io::Result<()> {
    let connections = Arc::new(Connections::new(Arc::clone(&app)));
    let mut accepting = JoinSet::new();
    for listener in listeners {
        let listener = listener.into_acceptor()?;
        let door = Arc::new(Door { listener, connections: Arc::clone(&connections) });
        accepting.spawn(door.accept_always());
    }

    shutdown.await;
    app.ending.begin();
    info!(connections = connections.open(), "stopping: requests in flight are answered first");
    // Those who wait to be accepted have been told that they are connected.
    while accepting.join_next().await.is_some() {}
    let all = u32::try_from(app.limits.connections).unwrap_or(u32::MAX);
    if timeout(app.limits.drain, connections.places.acquire_many(all)).await.is_err() {
        warn!("not all requests were answered in time (the limit is --drain)");
    }
    Ok(())
}

/// Where connections come in.
struct Door {
    listener: Acceptor,
    connections: Arc<Connections>,
}

impl Door {
    /// Accepts until the server is about to end, and begins again after a panic.
    async fn accept_always(self: Arc<Self>) {
        // What has panicked is in the log.
        while tokio::spawn(Arc::clone(&self).accept()).await.is_err_and(|failed| failed.is_panic()) {
            sleep(ACCEPT_REST).await;
        }
    }

    /// Accepts until the server is about to end, and then those that wait.
    async fn accept(self: Arc<Self>) {
        let ending = &self.connections.app.ending;
        let (mut full, mut short) = (Complaint::default(), Complaint::default());
        loop {
            let accepted = tokio::select! {
                biased;
                accepted = self.listener.accept() => accepted,
                () = ending.begun() => break,
            };
            match accepted {
                Ok(accepted) => {
                    let Some(place) = self.place(accepted.1, &mut full).await else { break };
                    self.serve(accepted, place);
                }
                // The client went away before it was its turn.
                Err(error) if is_of_the_connection(&error) => {
                    debug!(%error, "a connection was not accepted")
                }
                Err(error) => {
                    short.say(|| warn!(%error, "cannot accept connections for now; those that wait will be"));
                    self.connections.seats.make_room(None);
                    sleep(ACCEPT_REST).await;
                }
            }
        }
        while let Ok(accepted) = self.listener.accept_now() {
            let Ok(place) = self.place_at_once() else { break };
            self.serve(accepted, place);
        }
    }

    fn place_at_once(&self) -> Result<OwnedSemaphorePermit, TryAcquireError> {
        Arc::clone(&self.connections.places).try_acquire_owned()
    }

    /// A place for one more connection. When there is none, one that rests or is
    /// slow gives its place up.
    async fn place(&self, peer: Peer, full: &mut Complaint) -> Option<OwnedSemaphorePermit> {
        if let Ok(place) = self.place_at_once() {
            return Some(place);
        }
        full.say(|| {
            let limit = self.connections.app.limits.connections;
            warn!(
                limit,
                "as many connections as there may be (--connections); others wait, or replace idle and slow ones"
            );
        });
        let mut place = pin!(Arc::clone(&self.connections.places).acquire_owned());
        let client = client_net(peer, &self.connections.app.trusted);
        loop {
            self.connections.seats.make_room(client);
            tokio::select! {
                place = &mut place => return place.ok(),
                () = self.connections.app.ending.begun() => return None,
                // There may have been none, or one that answers a request first.
                () = sleep(ACCEPT_REST) => {}
            }
        }
    }

    fn serve(&self, (socket, peer): Accepted, place: OwnedSemaphorePermit) {
        let connections = Arc::clone(&self.connections);
        tokio::spawn(async move {
            connections.serve(socket, peer).await;
            drop(place);
        });
    }
}

/// Something that is said once, and not again for some time.
#[derive(Default)]
struct Complaint {
    said: Option<Instant>,
}

impl Complaint {
    fn say(&mut self, say: impl FnOnce()) {
        if self.said.is_none_or(|said| said.elapsed() > COMPLAINT_REST) {
            self.said = Some(Instant::now());
            say();
        }
    }
}

/// Whether accepting failed because of the connection that was to be accepted,
/// rather than for want of something that all connections need.
fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
