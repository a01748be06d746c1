//! Who is at the other end of a connection: the peer, or whom a header of the PROXY protocol names in
//! its place. A header counts only if the peer is a trusted proxy.

use std::sync::Arc;
use std::time::Duration;

use host_http::client_net::Peer;
use host_http::forwarded::{client_net, is_trusted};
use host_http::proxy_header::Origin;
use tokio::time::{Instant, sleep, timeout};
use tracing::debug;

use crate::net::listener::Accepted;
use crate::net::proxy_header;
use crate::serve::app::App;
use crate::serve::header_counts::Outcome;
use crate::serve::slots::Slots;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Peer, or the client in its place.
    pub peer: Peer,
    /// Whether the requests are those of this peer. Otherwise it passes on those of a client that it
    /// does not name, whose fields are not believed for the sake of the peer.
    pub is_known: bool,
}

/// Returns who is at the other end of a new connection. Returns `None` if the connection is to be
/// closed, because its header may not be believed, is wrong, or does not come. On shutdown it may still
/// come within `last`.
pub async fn of(accepted: &Accepted, app: &App, slots: &Arc<Slots>, last: Duration) -> Option<Caller> {
    if !accepted.has_header {
        return Some(Caller { peer: accepted.peer, is_known: true });
    }
    // Boxed, so that other connections do not reserve memory for this future.
    Box::pin(named(accepted, app, slots, last)).await
}

async fn named(accepted: &Accepted, app: &App, slots: &Arc<Slots>, last: Duration) -> Option<Caller> {
    let (peer, settings) = (accepted.peer, app.settings.get());
    let counts = &app.connections.headers;
    if !is_trusted(peer, &settings.trusted) {
        counts.count(Outcome::Untrusted);
        debug!(%peer, "connection closed: this peer may send no PROXY header (--trust-forwarded)");
        return None;
    }
    // Until its client is known, the connection counts for the proxy.
    let taken = slots.take(client_net(peer, &settings.trusted));
    let read = tokio::select! {
        biased;
        read = timeout(settings.limits.head_timeout, proxy_header::read(&accepted.connection)) => read,
        () = taken.slot.rest(Instant::now(), true) => return None,
        () = async {
            app.ending.closing().await;
            sleep(last).await;
        } => return None,
    };
    let known = |peer| Some(Caller { peer, is_known: true });
    let (outcome, caller) = match read {
        Ok(Ok(Some(Origin::Client(client)))) => {
            debug!(proxy = %peer, client = %Peer::Ip(client), "PROXY header");
            (Outcome::Client, known(Peer::Ip(client)))
        }
        Ok(Ok(Some(Origin::Proxy))) => (Outcome::Local, known(peer)),
        Ok(Ok(Some(Origin::Unknown))) => (Outcome::Unknown, Some(Caller { peer, is_known: false })),
        Ok(Ok(None)) => (Outcome::None, None),
        Ok(Err(error)) => {
            debug!(%peer, %error, "connection closed: bad PROXY header");
            (Outcome::Bad, None)
        }
        Err(_) => {
            debug!(%peer, "connection closed: its PROXY header took too long (--head-timeout)");
            (Outcome::Late, None)
        }
    };
    counts.count(outcome);
    caller
}
