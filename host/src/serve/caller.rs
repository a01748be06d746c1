//! Caller of a connection: the peer, or the client that a header of the PROXY protocol names
//! instead. A header counts only if the peer is a trusted proxy.

use std::sync::Arc;
use std::time::Duration;

use host_http::client_net::Peer;
use host_http::forwarded::{client_net, is_trusted};
use host_http::proxy_header::Origin;
use tokio::time::{Instant, sleep, timeout};
use tracing::{debug, warn};

use crate::net::listener::Accepted;
use crate::net::proxy_header;
use crate::serve::app::App;
use crate::serve::header_counts::Outcome;
use crate::serve::seldom::Seldom;
use crate::serve::slots::Slots;

/// Bound on the log lines about connections that are closed for their PROXY header.
static REFUSED: Seldom = Seldom::new();

/// Peer of a connection, or the client that its PROXY protocol header names.
#[derive(Clone, Copy, Debug)]
pub struct Caller {
    /// Client that the PROXY protocol header names, otherwise the peer of the connection.
    pub peer: Peer,
    /// Whether `peer` is the client that has sent the requests. If not, `peer` is a proxy whose
    /// PROXY protocol header names no client. Then the host ignores the forwarding fields of the
    /// requests.
    pub is_known: bool,
}

/// Determines the caller of a new connection. Reads the PROXY protocol header, if the listener
/// expects one. Returns [`None`] if the connection has to be closed: because the peer is not
/// trusted, because the header is malformed, missing or late, or because a new connection needs the
/// permit of this one. After shutdown has begun, waits for the header for at most `last`.
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
        refuse(peer, "this peer may send no PROXY header (--trust-forwarded)");
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
            refuse(peer, &format!("bad PROXY header: {error}"));
            (Outcome::Bad, None)
        }
        Err(_) => {
            refuse(peer, "its PROXY header took too long (--head-timeout)");
            (Outcome::Late, None)
        }
    };
    counts.count(outcome);
    caller
}

/// Logs why a connection is closed: each time at the level debug, and seldom at the level warn.
fn refuse(peer: Peer, cause: &str) {
    match REFUSED.turn() {
        Some(left_out) => warn!(
            %peer,
            cause,
            left_out,
            "connection closed at an address with ,proxy (--listen); told once a minute at most"
        ),
        None => debug!(%peer, cause, "connection closed at an address with ,proxy (--listen)"),
    }
}
