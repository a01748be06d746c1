//! Client of one connection: the facts about a client that are the same for all requests of the
//! connection.

use std::sync::Arc;

use bytes::Bytes;
use host_http::client_net::{ClientNet, Peer};
use host_http::field::Fields;
use host_http::forwarded::{self, Trusted};
use host_http::request::{ClientCert, Tls};
use host_http::request_id::{RequestId, RequestIds};
use host_http::trace::{Parent, Trace};

use crate::net::socket::Socket;
use crate::serve::app::App;
use crate::serve::caller::Caller;
use crate::serve::peer_cert;
use crate::serve::settings::Settings;
use crate::serve::slots::Slot;

/// Client of one connection.
pub struct Client {
    pub(super) app: Arc<App>,
    pub(super) settings: Arc<Settings>,
    pub(super) ids: RequestIds,
    pub(super) peer: Peer,
    pub(super) peer_text: String,
    pub(super) client_net: Option<ClientNet>,
    /// Whether requests continue the trace that their `traceparent` field names; [`None`] if the
    /// host takes no part in distributed tracing.
    believes: Option<bool>,
    is_trusted: bool,
    /// Whether the peer has sent a PROXY protocol header that names no client. Then the host
    /// ignores the forwarding fields of all requests.
    is_unknown: bool,
    /// Certificate that the client has presented.
    cert: Option<ClientCert>,
    /// Value of the header field `strict-transport-security` in responses; [`None`] if they do not
    /// have it.
    hsts: Option<String>,
    /// Https port to which requests are redirected; [`None`] if they are not redirected.
    pub(super) redirect: Option<u16>,
    pub(super) socket: Socket,
    slot: Arc<Slot>,
}

impl Client {
    /// Creates the client of a new connection. If `redirect` is a port, its requests are redirected
    /// to https at this port.
    pub fn new(
        app: Arc<App>,
        Caller { peer, is_known }: Caller,
        socket: Socket,
        slot: Arc<Slot>,
        redirect: Option<u16>,
    ) -> Client {
        let (settings, ids) = (app.settings.get(), app.ids.connection());
        let client_net = forwarded::client_net(peer, &settings.trusted);
        let is_trusted = is_known && forwarded::is_trusted(peer, &settings.trusted);
        let believes = settings.traceparent.believes(is_trusted);
        let cert = socket.tls().and_then(peer_cert::of);
        let hsts = settings.hsts.filter(|_| socket.tls().is_some());
        let hsts = hsts.map(|time| format!("max-age={}", time.as_secs()));
        let peer_text = peer.to_string();
        Client {
            app,
            settings,
            ids,
            peer,
            peer_text,
            client_net,
            believes,
            is_trusted,
            is_unknown: !is_known,
            cert,
            hsts,
            redirect,
            socket,
            slot,
        }
    }

    /// Returns the settings of the connection.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Returns the peer of the connection, or the client that its PROXY protocol header names.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Returns the proxies whose forwarding fields the host trusts. There are none if the PROXY
    /// protocol header of the peer names no client.
    pub(super) fn trusted(&self) -> &[Trusted] {
        if self.is_unknown { &[] } else { &self.settings.trusted }
    }

    /// Returns whether the client uses TLS. For a trusted proxy, this is [`Tls::AsSent`]: the
    /// fields of the request tell whether the client of the proxy uses TLS.
    pub(super) fn tls(&self) -> Tls<'_> {
        match self.is_trusted {
            true => Tls::AsSent,
            false if self.socket.tls().is_some() => Tls::On(self.cert.as_ref()),
            false => Tls::Off,
        }
    }

    /// Returns the response to a request by which a certificate authority checks that this server
    /// controls a domain (ACME, HTTP-01). Returns [`None`] for all other requests, and over TLS.
    pub(super) fn challenge(&self, method: &str, path: &str) -> Option<Bytes> {
        if self.socket.tls().is_some() || !["GET", "HEAD"].contains(&method) {
            return None;
        }
        let answer = self.app.tls.as_ref()?.challenges.answer(path)?;
        Some(format!("HTTP/1.1 200 OK\r\ncontent-type: application/octet-stream\r\n\r\n{answer}").into())
    }

    /// Returns the value of the header field `strict-transport-security`; [`None`] if responses do
    /// not have it.
    pub(super) fn hsts(&self) -> Option<&str> {
        self.hsts.as_deref()
    }

    /// Creates the trace span of a request; [`None`] if the host takes no part in distributed
    /// tracing.
    pub(super) fn trace(&self, id: &RequestId, fields: Fields<'_>) -> Option<Trace> {
        let believes = self.believes?;
        let parent = believes.then(|| Parent::of(fields)).flatten();
        Some(self.ids.trace(id, parent.as_ref()))
    }

    /// Returns whether the current response is the last one of the connection.
    pub(super) fn is_last(&self) -> bool {
        self.ids.count() >= self.settings.limits.connection_requests as u64
            || self.app.ending.has_begun()
            || self.slot.gives_way()
    }
}
