//! One call of the handler: gets an instance, writes the request into it, runs it,
//! and reads the response.
//!
//! A call first runs on the stack of the serving thread, which is cheap but blocks
//! the thread. If it turns out to take long, it starts again on a fiber, where it can
//! yield to other requests. Requests that are expected to take long go to a fiber at
//! once.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use host_http::client_net::ClientNet;
use host_http::message::Message;
use host_http::request_id::RequestId;
use tokio::task::yield_now;

use crate::admission::Short;
use crate::call_error::CallError;
use crate::call_state::CallState;
use crate::engine::Engine;
use crate::failure::{Stopped, invoke};
use crate::handler::HandlerModule;
use crate::instance::Instance;
use crate::{deadline, memory};

/// Bytes of a request or response above which the task yields after the copy, which
/// takes a tenth of a millisecond or more.
const LARGE_COPY: usize = 1 << 20;

/// A started call.
pub enum Call<'a> {
    /// Finished already, as nearly all calls are.
    Over(Result<Bytes, CallError>),
    /// Still waiting or running.
    Running(Running<'a>),
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Bytes, CallError>> + Send + 'a>>;

impl Call<'_> {
    /// Waits for the response.
    ///
    /// # Errors
    ///
    /// [`CallError`] says what went wrong, and whether module or server is at fault.
    pub async fn end(self) -> Result<Bytes, CallError> {
        match self {
            Call::Over(result) => result,
            Call::Running(call) => call.await,
        }
    }
}

impl HandlerModule {
    /// Calls the handler with one request. The response is not checked yet. The
    /// deadline counts from `since`, or from the end of a wait for a permit.
    ///
    /// A short call has finished when this returns.
    pub fn call<'a>(&'a self, request: &'a Message, id: RequestId, since: Instant) -> Call<'a> {
        self.call_for(None, request, id, since)
    }

    /// Calls the handler for a client. The clients share the permits for long calls.
    pub fn call_for<'a>(
        &'a self,
        client: Option<ClientNet>,
        request: &'a Message,
        id: RequestId,
        since: Instant,
    ) -> Call<'a> {
        if self.long_targets.expects(request) {
            let state = CallState::new(self.engine().limits(), id, since).seeded(request.seed);
            return Call::Running(Box::pin(self.call_on_fiber(client, request, state)));
        }
        let Some(short) = self.engine().admission().begin_short() else {
            return Call::Running(Box::pin(async move {
                let short = self.engine().admission().wait_for_short().await?;
                // The deadline does not include the wait.
                let since = Instant::now();
                let attempt = self.attempt(short, request, id, since);
                self.finish(attempt, client, request, id, since).await
            }));
        };
        match self.attempt(short, request, id, since) {
            Attempt { answer: Ok(response), was_long: false, .. } if response.len() <= LARGE_COPY => {
                Call::Over(Ok(response))
            }
            Attempt { answer: Err(Stopped::Failed(failure)), .. } => Call::Over(Err(failure)),
            // Other requests of the thread have waited, so this one yields.
            attempt => Call::Running(Box::pin(self.finish(attempt, client, request, id, since))),
        }
    }

    /// Makes a call on the stack of the current thread, and stops the call if it takes
    /// long. Holds `_short` until the instance is idle again, so that there are never more
    /// instances than the limit.
    fn attempt(&self, _short: Short<'_>, request: &Message, id: RequestId, since: Instant) -> Attempt {
        let state = CallState::new(self.engine().limits(), id, since).seeded(request.seed).on_thread();
        let call = pin!(self.run(request, state));
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(attempt) => attempt,
            // Does not happen, because a call on the thread's stack never waits.
            Poll::Pending => Attempt { answer: Err(Stopped::TakesLong), was_long: true, log_lines: 0 },
        }
    }

    /// Yields once, then returns the answer of an attempt, or repeats it on a fiber.
    async fn finish(
        &self,
        attempt: Attempt,
        client: Option<ClientNet>,
        request: &Message,
        id: RequestId,
        since: Instant,
    ) -> Result<Bytes, CallError> {
        yield_now().await;
        match attempt.answer {
            Err(Stopped::TakesLong) => {
                let state = CallState::new(self.engine().limits(), id, since).seeded(request.seed);
                let state = CallState { log_lines_heard: attempt.log_lines, ..state };
                self.call_on_fiber(client, request, state).await
            }
            answer => Ok(answer?),
        }
    }

    /// Waits for a permit and makes a call on a fiber, where the call can yield.
    async fn call_on_fiber(
        &self,
        client: Option<ClientNet>,
        request: &Message,
        mut state: CallState,
    ) -> Result<Bytes, CallError> {
        let admission = self.engine().admission();
        let _permit = match admission.try_begin_long(client) {
            Some(permit) => permit,
            None => {
                let permit = admission.begin_long(client).await?;
                // The deadline does not include the wait.
                state.deadline = Instant::now() + self.limits().deadline;
                permit
            }
        };
        Ok(admission.in_turns(self.run(request, state)).await.answer?)
    }

    /// Makes a call with an idle or a new instance, and notes whether it takes long.
    async fn run(&self, request: &Message, state: CallState) -> Attempt {
        let on_fiber = state.on_fiber;
        let attempt = match self.instance(state).await {
            Err(stopped) => Attempt { answer: Err(stopped), was_long: false, log_lines: 0 },
            Ok(mut instance) => {
                let answer = answer(&mut instance, request, self.engine()).await;
                let state = instance.store.data();
                let was_long = state.first_tick.is_some();
                let log_lines = self.limits().log_lines_max - state.log_lines_left;
                let answer = match answer {
                    Ok(response) => {
                        self.give_back(instance);
                        Ok(response)
                    }
                    Err(stopped) => Err(instance.with_panic(stopped).await),
                };
                Attempt { answer, was_long, log_lines }
            }
        };
        let takes_long = matches!(attempt.answer, Err(Stopped::TakesLong));
        self.long_targets.note(request, takes_long || on_fiber && attempt.was_long);
        attempt
    }
}

/// The outcome of a call, which may have to be repeated on a fiber.
struct Attempt {
    answer: Result<Bytes, Stopped>,
    /// Whether a tick of the epoch found the call running (see `deadline`).
    was_long: bool,
    /// Number of log lines of the call.
    log_lines: usize,
}

/// Makes a call. Fails past the deadline, which includes the host's own work for the
/// call.
pub(super) async fn answer(
    instance: &mut Instance,
    request: &Message,
    engine: &Engine,
) -> Result<Bytes, Stopped> {
    let length = length(request)?;
    let address = invoke(&mut instance.store, &instance.alloc, length).await?;
    let span = write_request(instance, Span { address, length }, request)?;
    let on_fiber = instance.store.data().on_fiber;
    if on_fiber && length as usize > LARGE_COPY {
        yield_now().await;
    }
    let packed = invoke(&mut instance.store, &instance.handle, span).await?;
    let response = read_response(instance, Span::unpack(packed), engine)?;
    let is_large = response.len() > LARGE_COPY;
    // The clock is not read for a short call, which has no time to pass its deadline.
    if on_fiber || is_large || instance.store.data().first_tick.is_some() {
        deadline::check(&instance.store)?;
    }
    if on_fiber && is_large {
        yield_now().await;
    }
    Ok(response)
}

/// Returns the length of a request in bytes, which must fit a 32-bit memory.
fn length(request: &Message) -> Result<u32, CallError> {
    let length = request.length();
    u32::try_from(length).map_err(|_| CallError::NoRoom { length })
}

/// Writes a request to the address that `alloc` returned.
fn write_request(instance: &mut Instance, span: Span, request: &Message) -> Result<(u32, u32), CallError> {
    if span.address == NO_ROOM {
        return Err(CallError::NoRoom { length: span.length as usize });
    }
    let Instance { memory, store, pages, .. } = instance;
    memory::write(*memory, store, pages.as_mut(), span, request)?;
    Ok((span.address, span.length))
}

/// Copies the response from the span that `handle` returned.
fn read_response(instance: &Instance, span: Span, engine: &Engine) -> Result<Bytes, CallError> {
    let limit = engine.limits().response_max;
    if span.length as usize > limit {
        return Err(CallError::ResponseTooLong { length: span.length, limit });
    }
    let bytes = memory::view(instance.memory, &instance.store, span)
        .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::HANDLE, cause })?;
    Ok(engine.responses().copy(bytes))
}
