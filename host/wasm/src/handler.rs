//! A started handler of either kind, as the host calls it. The kinds are a closed set, so
//! each call costs one comparison more than a call of the kind itself.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use host_http::client_net::ClientNet;
use host_http::message::Message;
use host_http::request_id::RequestId;

use crate::call::Call;
use crate::call_error::CallError;
use crate::component::handler::ComponentHandler;
use crate::engine::Engine;
use crate::limits::CallLimits;
use crate::measure::Usage;
use crate::started::HandlerModule;
use crate::values::Values;

/// The handler of one version. A clone is the same handler.
#[derive(Clone)]
pub enum Handler {
    /// A module that gets the bytes of a request, and returns those of the response.
    Bytes(Arc<HandlerModule>),
    /// A component that exports `wasi:http/incoming-handler`.
    Component(Arc<ComponentHandler>),
}

impl Handler {
    /// Returns whether `other` is this same handler, and not only an equal one.
    pub fn is(&self, other: &Handler) -> bool {
        match (self, other) {
            (Handler::Bytes(one), Handler::Bytes(other)) => Arc::ptr_eq(one, other),
            (Handler::Component(one), Handler::Component(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Calls the handler with one request. The response is not checked yet. The
    /// deadline counts from `since`, or from the end of a wait for a permit.
    ///
    /// A short call of a module has usually finished when this returns. Other calls run in the task
    /// that awaits the returned [`Call`].
    pub fn call<'a>(&'a self, request: &'a Message, id: RequestId, since: Instant) -> Call<'a> {
        match self {
            Handler::Bytes(module) => module.call(request, id, since),
            Handler::Component(component) => component.call(None, request, id, since),
        }
    }

    /// Calls the handler for a client. The clients share the permits for long calls, which run on
    /// separate threads. A long call of a module moves the message out of `request`, and puts it
    /// back at its end, unless the call is dropped before.
    pub fn call_for<'a>(
        &'a self,
        client: Option<ClientNet>,
        request: &'a mut Message,
        id: RequestId,
        since: Instant,
    ) -> Call<'a> {
        match self {
            Handler::Bytes(module) => module.call_for(client, request, id, since),
            Handler::Component(component) => component.call(client, request, id, since),
        }
    }

    /// Calls the handler with one request, and measures the call. Uses a permit for calls of
    /// candidates, so that it does not compete with the requests of clients.
    pub async fn call_and_measure(
        &self,
        request: &Message,
        id: RequestId,
    ) -> (Result<Bytes, CallError>, Usage) {
        match self {
            Handler::Bytes(module) => module.call_and_measure(request, id).await,
            Handler::Component(component) => component.measure(request, id, false).await,
        }
    }

    /// Calls the handler as [`Handler::call_and_measure`] does, and drops its log lines,
    /// because the request was served before.
    pub async fn call_again(&self, request: &Message) -> (Result<Bytes, CallError>, Usage) {
        match self {
            Handler::Bytes(module) => module.call_again(request).await,
            Handler::Component(component) => component.measure(request, RequestId::none(), true).await,
        }
    }

    /// Returns the handler's file if it is still to be optimised.
    pub fn unoptimised(&self) -> Option<Arc<[u8]>> {
        match self {
            Handler::Bytes(module) => module.unoptimised(),
            Handler::Component(component) => component.unoptimised(),
        }
    }

    /// Returns the memory of the handler without its instances, in bytes: code, data segments,
    /// snapshot, and the file while it is still to be optimised.
    pub fn memory(&self) -> usize {
        match self {
            Handler::Bytes(module) => module.memory(),
            Handler::Component(component) => component.memory(),
        }
    }

    /// Returns whether instances are reset after a request, rather than created anew.
    pub fn resets_instances(&self) -> bool {
        match self {
            Handler::Bytes(module) => module.resets_instances(),
            Handler::Component(_) => false,
        }
    }

    /// Returns whether the handler may draw random bits, so that its requests need a seed.
    pub fn draws(&self) -> bool {
        match self {
            Handler::Bytes(module) => module.draws(),
            Handler::Component(_) => true,
        }
    }

    /// Returns the values with which the handler was started.
    pub fn values(&self) -> &Arc<Values> {
        match self {
            Handler::Bytes(module) => module.values(),
            Handler::Component(component) => component.values(),
        }
    }

    /// Returns the memory of the snapshot and the data segments, in bytes.
    pub fn image_bytes(&self) -> usize {
        match self {
            Handler::Bytes(module) => module.image_bytes(),
            Handler::Component(_) => 0,
        }
    }

    /// Sets whether this version serves. If it does, idle instances are kept from now on; otherwise
    /// all are dropped. A new handler keeps none until this is called.
    pub fn set_serving(&self, serves: bool) {
        match self {
            Handler::Bytes(module) => module.set_serving(serves),
            Handler::Component(_) => {}
        }
    }

    /// Returns the limits within which the handler runs.
    pub fn limits(&self) -> &CallLimits {
        self.engine().limits()
    }

    /// Frees the buffers that are kept for the responses of all versions.
    pub fn free_buffers(&self) {
        self.engine().responses().clear();
    }

    fn engine(&self) -> &Engine {
        match self {
            Handler::Bytes(module) => module.engine(),
            Handler::Component(component) => component.engine(),
        }
    }
}
