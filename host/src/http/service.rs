//! What happens between a request and its response: check, read the body, ask
//! which version serves, call it, check what it returned, log one line.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::{Body, Incoming};

use super::counts::FaultCounts;
use super::fault::Fault;
use super::request::{self, Origin};
use super::response;
use crate::access_log;
use crate::limits::Limits;
use crate::request_id::{ConnectionIds, RequestIds};
use crate::socket::Socket;
use crate::swap::Swapper;

const REQUEST_ID: HeaderName = HeaderName::from_static(handler_sdk::abi::REQUEST_ID);
const HANDLER_VERSION: HeaderName = HeaderName::from_static("x-handler-version");

/// What all connections share.
pub struct App {
    /// Knows which version serves.
    pub swapper: Swapper,
    /// Whether responses tell the version that answered.
    pub tell_version: bool,
    /// The bounds.
    pub limits: Limits,
    /// The ids of connections and requests.
    pub ids: ConnectionIds,
    /// Whether a fault tells the client its cause.
    pub tell_cause: bool,
    /// The faults so far.
    pub faults: Arc<FaultCounts>,
}

/// One connection: whose it is, and how its requests are answered.
pub struct Connection {
    app: Arc<App>,
    ids: RequestIds,
    peer: IpAddr,
    socket: Socket,
}

impl Connection {
    /// A connection from this peer.
    pub fn new(app: Arc<App>, peer: IpAddr, socket: Socket) -> Connection {
        let ids = app.ids.connection();
        Connection { app, ids, peer, socket }
    }

    /// Answers one request, always: every fault has its response.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
        let (started, time) = (Instant::now(), SystemTime::now());
        let id = self.ids.request();
        let (parts, body) = request.into_parts();

        let mut version_called = None;
        let outcome = async {
            let limits = &self.app.limits;
            let target = request::check_head(&parts, limits)?;
            let body = request::read_body(body, limits).await?;
            let message = request::encode(&parts, target, body, &Origin { id: &id, peer: self.peer, time });

            let version = self.app.swapper.current();
            version_called = Some(version.label.number);
            let bytes = tokio::select! {
                // A call that does not have to wait is over before this looks
                // at the socket.
                biased;
                response = version.module.call(&message, id.clone()) => response?,
                () = self.socket.reset() => return Err(Fault::ClientGone),
            };
            Ok::<_, Fault>(response::decode(bytes, &parts.method)?)
        };
        let (mut response, fault) = match outcome.await {
            Ok(response) => (response, None),
            Err(fault) => {
                self.app.faults.add(fault.entry().name);
                (fault.response(&parts.method, self.app.tell_cause), Some(fault))
            }
        };
        response.headers_mut().insert(REQUEST_ID, (&id).into());
        if let Some(number) = version_called.filter(|_| self.app.tell_version) {
            response.headers_mut().insert(HANDLER_VERSION, number.into());
        }

        access_log::write(&access_log::Line {
            method: parts.method.as_str(),
            target: &parts.uri,
            status: response.status().as_u16(),
            length: response.body().size_hint().lower(),
            time: started.elapsed(),
            version: version_called,
            id: id.as_str(),
            fault: fault.as_ref(),
        });
        Ok(response)
    }
}
