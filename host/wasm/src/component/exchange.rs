//! One call of a component: runs the guest (the code of the component), and reads the response that
//! the guest writes. The guest runs only while the host waits for its response, in the same task.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use http::Response;
use http_body::Body as _;
use tokio::sync::oneshot;
use wasmtime::{Result, Store};
use wasmtime_wasi_http::WasiHttpView as _;
use wasmtime_wasi_http::p2::bindings::ProxyPre;
use wasmtime_wasi_http::p2::bindings::http::types::ErrorCode;
use wasmtime_wasi_http::p2::body::HyperOutgoingBody;

use crate::call_error::CallError;
use crate::component::failure::{explain, instantiation_failed, is_exit, shown};
use crate::component::request::Incoming;
use crate::component::state::State;

/// A started call.
pub(super) struct Exchange {
    guest: Guest,
    head: oneshot::Receiver<Result<Response<HyperOutgoingBody>, ErrorCode>>,
    /// Whether the guest has dropped the body without finishing it.
    is_given_up: bool,
}

enum Guest {
    Runs(Pin<Box<dyn Future<Output = Over> + Send>>),
    Over(Over),
}

/// State after the end of the guest. The store is kept, because the rest of the response in its
/// table shows whether the response is complete.
struct Over {
    store: Store<State>,
    /// Error with which the guest failed, until [`Exchange::failure`] has returned it.
    error: Option<wasmtime::Error>,
    /// Resources that the guest used; [`None`] if no instance was created.
    used: Option<Used>,
}

/// Resources that a guest used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Used {
    /// Time at which the instance was created.
    pub(super) since: Instant,
    /// Size of all memories when the instance was created, in bytes.
    pub(super) memory_before: usize,
    /// Size of all memories when the guest ended, in bytes.
    pub(super) memory: usize,
}

/// A part of the body of a response.
pub(super) enum Part {
    Data(Bytes),
    /// The guest has ended, and the body is complete.
    Finished,
    /// The guest has ended without finishing the body.
    GivenUp,
}

impl Exchange {
    /// Prepares a call. The call begins when [`Exchange::head`] is awaited.
    pub(super) fn new(
        component: &ProxyPre<State>,
        mut store: Store<State>,
        incoming: Incoming,
    ) -> Result<Exchange> {
        let (sender, head) = oneshot::channel();
        let mut http = store.data_mut().http();
        let request = http.new_incoming_request(incoming.scheme, incoming.request)?;
        let answer = http.new_response_outparam(sender)?;
        let component = component.clone();
        let guest = async move {
            let mut used = None;
            let result = async {
                let proxy = component.instantiate_async(&mut store).await?;
                let memory = store.data().memory;
                let used = used.insert(Used { since: Instant::now(), memory_before: memory, memory });
                let result =
                    proxy.wasi_http_incoming_handler().call_handle(&mut store, request, answer).await;
                used.memory = store.data().memory;
                result
            };
            let result = result.await;
            Over { store, error: result.err().filter(|error| !is_exit(error)), used }
        };
        Ok(Exchange { guest: Guest::Runs(Box::pin(guest)), head, is_given_up: false })
    }

    /// Waits for the head of the response.
    pub(super) async fn head(&mut self) -> Result<Response<HyperOutgoingBody>, CallError> {
        poll_fn(|cx| {
            self.poll_guest(cx);
            // The guest sends it while it is polled, so nothing else wakes this task.
            match self.head.try_recv() {
                Ok(Ok(response)) => Poll::Ready(Ok(response)),
                Ok(Err(code)) => Poll::Ready(Err(CallError::ErrorCode { code: shown(&code) })),
                Err(_) => match self.failure() {
                    Some(error) => Poll::Ready(Err(error)),
                    None if self.is_over() => Poll::Ready(Err(CallError::NoResponse)),
                    None => Poll::Pending,
                },
            }
        })
        .await
    }

    /// Waits for the next part of the body.
    pub(super) async fn part(&mut self, body: &mut HyperOutgoingBody) -> Result<Part, CallError> {
        poll_fn(|cx| {
            self.poll_guest(cx);
            if let Some(error) = self.failure() {
                return Poll::Ready(Err(error));
            }
            // A body may be polled again after its end, until the guest ends, too.
            let end = match Pin::new(&mut *body).poll_frame(cx) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) => return Poll::Ready(Ok(Part::Data(data))),
                    // Trailers are the end, and are not sent on.
                    Err(_) => Part::Finished,
                },
                Poll::Ready(None) if !self.is_given_up => Part::Finished,
                Poll::Ready(_) => {
                    self.is_given_up = true;
                    Part::GivenUp
                }
                // The guest has ended, so the rest of the body never comes.
                Poll::Pending => Part::GivenUp,
            };
            if self.is_over() { Poll::Ready(Ok(end)) } else { Poll::Pending }
        })
        .await
    }

    /// Returns the resources that the guest used; [`None`] while the guest runs, or if no instance
    /// was created.
    pub(super) fn used(&self) -> Option<Used> {
        match &self.guest {
            Guest::Over(over) => over.used,
            Guest::Runs(_) => None,
        }
    }

    fn poll_guest(&mut self, cx: &mut Context<'_>) {
        if let Guest::Runs(guest) = &mut self.guest
            && let Poll::Ready(over) = guest.as_mut().poll(cx)
        {
            self.guest = Guest::Over(over);
        }
    }

    fn is_over(&self) -> bool {
        matches!(self.guest, Guest::Over(_))
    }

    /// Returns the error with which the guest failed; [`None`] if it did not fail, or if the error
    /// was returned before.
    fn failure(&mut self) -> Option<CallError> {
        let Guest::Over(over) = &mut self.guest else {
            return None;
        };
        let error = over.error.take()?;
        Some(match over.used {
            Some(_) => explain(&error, over.store.data()),
            None => instantiation_failed(&error, over.store.data()),
        })
    }
}
