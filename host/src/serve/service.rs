//! Answers requests: checks the head, reads the body, calls the current version,
//! checks its response, and logs one line.

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use host_http::client_net::{ClientNet, Peer};
use host_http::forwarded::Trusted;
use host_http::message::Message;
use host_http::request::Origin;
use host_http::request_id::{ConnectionIds, RequestId, RequestIds};
use host_http::{forwarded, request, response, response_head};
use host_wasm::{Call, CallError};
use http::header::{CONNECTION, EXPECT, HeaderName, HeaderValue};
use http::request::Parts;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::config::limits::Limits;
use crate::fault::{Fault, Whose};
use crate::fault_counts::FaultCounts;
use crate::net::socket::Socket;
use crate::record::Recorder;
use crate::seed;
use crate::serve::buffers::Buffers;
use crate::serve::ending::Ending;
use crate::serve::stream::Notes;
use crate::serve::{access_log, body};
use crate::site::current::Serving;
use crate::site::notice::Notice;
use crate::site::swapper::Swapper;
use crate::site::version::Version;

const REQUEST_ID: HeaderName = HeaderName::from_static(handler_sdk::abi::REQUEST_ID);
const HANDLER_VERSION: HeaderName = HeaderName::from_static(response_head::HANDLER_VERSION);

/// Longest time to read the body of a refused request.
pub(crate) const DISCARD_TIME: Duration = Duration::from_secs(1);

/// State shared by all connections.
pub struct App {
    /// Source of the current version.
    pub swapper: Swapper,
    /// Whether responses name the version that answered.
    pub tell_version: bool,
    /// Limits of the server.
    pub limits: Limits,
    /// Generator of connection and request ids.
    pub ids: ConnectionIds,
    /// Whether the response to a fault shows its cause (`--dev`).
    pub tell_cause: bool,
    /// Reason for which the newest version does not serve, shown by `host dev`.
    pub notice: Notice,
    /// Fault counts.
    pub faults: FaultCounts,
    /// Memory budget for bodies.
    pub buffers: Buffers,
    /// Permits for connections.
    pub permits: Arc<Semaphore>,
    /// Recorder of requests that end in a fault of the handler, if recording is on.
    pub recorder: Option<Recorder>,
    /// Proxies whose `x-forwarded-for` header is trusted.
    pub trusted: Vec<Trusted>,
    /// Shutdown signal.
    pub ending: Ending,
}

/// Client of one connection.
pub struct Client {
    app: Arc<App>,
    ids: RequestIds,
    peer: Peer,
    peer_text: String,
    client_net: Option<ClientNet>,
    socket: Socket,
    /// Facts about the connection that its stream reports.
    pub notes: Arc<Notes>,
}

impl Client {
    /// Creates the client of a new connection.
    pub fn new(app: Arc<App>, peer: Peer, socket: Socket, notes: Arc<Notes>) -> Client {
        let ids = app.ids.connection();
        let client_net = forwarded::client_net(peer, &app.trusted);
        Client { app, ids, peer, peer_text: peer.to_string(), client_net, socket, notes }
    }

    /// Returns the peer of the connection.
    pub fn peer(&self) -> Peer {
        self.peer
    }

    /// Answers one request. A fault is answered, too.
    ///
    /// # Errors
    ///
    /// Never fails.
    pub fn answer(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Full<Bytes>>, Infallible>> {
        // Splits the request outside of the async function, whose future would store it
        // twice: as the argument, and in parts.
        let (parts, body) = request.into_parts();
        self.answer_parts(parts, body)
    }

    async fn answer_parts(
        self: Arc<Self>,
        mut parts: Parts,
        incoming: Incoming,
    ) -> Result<Response<Full<Bytes>>, Infallible> {
        let (started, time) = (Instant::now(), SystemTime::now());
        let id = self.ids.request();
        let (client, client_net) = match forwarded::client(self.peer, &parts.headers, &self.app.trusted) {
            client if client == self.peer => (Cow::Borrowed(&*self.peer_text), self.client_net),
            client => (Cow::Owned(client.to_string()), forwarded::client_net(client, &self.app.trusted)),
        };
        let mut version_called = None;
        let mut message = Message::default();
        let outcome = async {
            if let Some(why) = self.notes.refused() {
                return Err(why.clone().into());
            }
            let target = match request::check_head(&parts) {
                Ok(target) => target,
                Err(fault) => {
                    if !incoming.is_end_stream() && !parts.headers.contains_key(EXPECT) {
                        Box::pin(self.discard_body(incoming)).await;
                    }
                    return Err(fault.into());
                }
            };
            // Boxes the rare case of a body to keep the future small.
            let mut called = started;
            let (mut body_read, mut _share) = Default::default();
            if !incoming.is_end_stream() {
                let reading = body::read_body(
                    incoming,
                    &self.app.limits.connection,
                    &self.app.buffers,
                    &self.notes.read_into,
                );
                (body_read, _share) = Box::pin(reading).await?;
                called = Instant::now();
            }
            message = request::encode(&parts, target, body_read, &Origin { id: &id, client: &client, time });
            // Reuses the request's header map for the response, because hyper in turn
            // reuses the response's map for the next request.
            let fields = std::mem::take(&mut parts.headers);

            if let Some(cause) = self.app.notice.get() {
                return Err(Fault::NotServed { cause });
            }
            let version = version_called.insert(self.app.swapper.current());
            if version.module.draws() {
                message.seed = seed::draw();
            }
            let bytes = match version.module.call_for(client_net, &message, id, called) {
                Call::Over(response) => response?,
                Call::Running(call) => Box::pin(self.unless_gone(call)).await?,
            };
            let (bytes, head_max) = (self.app.buffers.hold(bytes)?, self.app.limits.call.response_head_max);
            Ok::<_, Fault>(response::decode(bytes, &parts.method, head_max, fields)?)
        };
        let (mut response, fault) = match outcome.await {
            Ok(response) => (response, None),
            Err(fault) => {
                self.app.faults.add(fault.entry().name);
                self.record(message, &id, time, version_called.as_deref(), &fault);
                (fault.response(&parts.method, self.app.tell_cause), Some(fault))
            }
        };
        response.headers_mut().insert(REQUEST_ID, (&id).into());
        let version_called = version_called.map(|version: Serving| version.label.number);
        if let Some(number) = version_called.filter(|_| self.app.tell_version) {
            response.headers_mut().insert(HANDLER_VERSION, number.into());
        }

        let is_last = self.ids.count() >= self.app.limits.connection.connection_requests as u64;
        if is_last || self.app.ending.has_begun() || self.notes.slot.gives_way() {
            response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if parts.version == http::Version::HTTP_10 && response.headers().contains_key(CONNECTION) {
            // A response of HTTP/1.1 would get `connection: keep-alive` from hyper if the
            // client had asked for it.
            *response.version_mut() = http::Version::HTTP_10;
        }

        let is_refused = self.notes.refused().is_some();
        access_log::write(&access_log::Line {
            request: (!is_refused).then_some((&parts.method, &parts.uri)),
            client: &client,
            status: response.status().as_u16(),
            length: response.body().size_hint().lower(),
            since: started,
            version: version_called,
            id: &id,
            fault: fault.as_ref(),
        });
        Ok(response)
    }

    /// Reads and drops the body of a refused request, for at most `DISCARD_TIME`. hyper
    /// keeps the connection open only if the body was read, and this must not depend on
    /// how the body was split into packets.
    async fn discard_body(&self, body: Incoming) {
        let App { limits, buffers, .. } = &*self.app;
        let _ =
            timeout(DISCARD_TIME, body::read_body(body, &limits.connection, buffers, &self.notes.read_into))
                .await;
    }

    /// Waits for the result of a call, and gives the call up if the client resets the
    /// connection.
    async fn unless_gone(
        &self,
        call: impl Future<Output = Result<Bytes, CallError>>,
    ) -> Result<Bytes, Fault> {
        tokio::select! {
            biased;
            response = call => Ok(response?),
            () = self.socket.reset() => Err(Fault::ClientGone),
        }
    }

    /// Records a request, if recording is on and the fault is one of the handler.
    fn record(
        &self,
        message: Message,
        id: &RequestId,
        time: SystemTime,
        version: Option<&Arc<Version>>,
        fault: &Fault,
    ) {
        if let (Some(recorder), Some(version)) = (&self.app.recorder, version)
            && fault.entry().whose == Whose::Handler
        {
            recorder.record(message, id, time, &version.label, fault);
        }
    }
}
