//! One call of the handler: gets an instance, writes the request into it, runs it,
//! and reads the response.
//!
//! A call first runs on the stack of the serving thread, which is cheap but blocks
//! the thread. If it turns out to take long, it starts again on a fiber, where it can
//! yield to other requests. Requests that are expected to take long go to a fiber at
//! once.

use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use host_http::client_net::ClientNet;
use host_http::message::Message;
use host_http::request_id::RequestId;
use tokio::task::yield_now;

use crate::admission::Short;
use crate::call_error::CallError;
use crate::call_state::{AtTick, CallState};
use crate::engine::Engine;
use crate::handler::HandlerModule;
use crate::instance::Instance;
use crate::invoke::{Stopped, invoke};
use crate::{deadline, memory};

/// Bytes of a request or response above which the task yields after the copy, which
/// takes a tenth of a millisecond or more.
const LARGE_COPY: usize = 1 << 20;

/// A call that was started.
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

    /// Calls the handler for a client, which shares the permits for long calls with
    /// others.
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
        let Some(short) = self.engine().begin_short() else {
            return Call::Running(Box::pin(async move {
                let short = self.engine().wait_for_short().await?;
                // The deadline does not include the wait.
                let attempt = self.attempt(short, request, id, Instant::now());
                self.finish(attempt, client, request).await
            }));
        };
        match self.attempt(short, request, id, since) {
            Attempt::Over { answer, was_found_running: false } => Call::Over(answer),
            attempt => Call::Running(Box::pin(self.finish(attempt, client, request))),
        }
    }

    /// Makes a call on the stack of the current thread, and stops it if it takes long.
    /// Holds the permit until the instance is idle again, so that there are never more
    /// instances than the limit.
    fn attempt(&self, _short: Short<'_>, request: &Message, id: RequestId, since: Instant) -> Attempt {
        let limits = self.engine().limits();
        let state = || CallState::new(limits, id, since).seeded(request.seed).of_short_call();
        let made = match self.take_idle() {
            Some(mut instance) => {
                instance.begin(state());
                Ok(instance)
            }
            None => self.new_instance_here(state()),
        };
        let mut instance = match made {
            Ok(instance) => instance,
            Err(Stopped::TakesLong) => {
                self.long_targets.note(request, true);
                return Attempt::TakesLong(CallState::new(limits, id, since).seeded(request.seed));
            }
            Err(Stopped::Failed(failure)) => return Attempt::over(Err(failure)),
        };
        let answer = answer_here(&mut instance, request, self.engine());
        match answer.map_err(|stopped| instance.with_panic_here(stopped)) {
            Ok(response) => {
                let took_long = instance.store.data().at_tick != AtTick::GoOn || response.len() > LARGE_COPY;
                let in_time = if took_long { deadline::check(&instance.store) } else { Ok(()) };
                self.give_back(instance);
                self.long_targets.note(request, false);
                // The deadline includes the host's own work for the call.
                Attempt::Over { answer: in_time.map(|()| response), was_found_running: took_long }
            }
            Err(Stopped::TakesLong) => {
                self.long_targets.note(request, true);
                Attempt::TakesLong(instance.store.data().again(limits))
            }
            Err(Stopped::Failed(failure)) => Attempt::over(Err(failure)),
        }
    }

    /// Yields once, then returns the answer of an attempt, or repeats it on a fiber.
    async fn finish(
        &self,
        attempt: Attempt,
        client: Option<ClientNet>,
        request: &Message,
    ) -> Result<Bytes, CallError> {
        yield_now().await;
        match attempt {
            Attempt::Over { answer, .. } => answer,
            Attempt::TakesLong(state) => self.call_on_fiber(client, request, state).await,
        }
    }

    /// Waits for a permit and makes a call on a fiber, where the call can yield.
    async fn call_on_fiber(
        &self,
        client: Option<ClientNet>,
        request: &Message,
        mut state: CallState,
    ) -> Result<Bytes, CallError> {
        let engine = self.engine();
        let _permit = match engine.try_begin_long(client) {
            Some(permit) => permit,
            None => {
                let permit = engine.begin_long(client).await?;
                // The deadline does not include the wait.
                state.deadline = Instant::now() + engine.limits().deadline;
                permit
            }
        };
        let call = async {
            let mut instance = match self.take_idle() {
                Some(mut instance) => {
                    instance.begin(state);
                    instance
                }
                None => self.new_instance(state).await?,
            };
            let answer = answer(&mut instance, request, engine).await;
            let was_long = instance.store.data().at_tick == AtTick::GiveWayAgain;
            self.long_targets.note(request, was_long);
            match answer {
                Ok(response) => {
                    self.give_back(instance);
                    Ok(response)
                }
                Err(failure) => Err(instance.with_panic(failure).await),
            }
        };
        engine.in_turns(call).await
    }
}

/// The outcome of a call on the thread's stack.
enum Attempt {
    Over {
        answer: Result<Bytes, CallError>,
        /// Whether a tick found it running, or the response is large, so that other
        /// requests of the thread have waited.
        was_found_running: bool,
    },
    /// The call takes long and has to be repeated on a fiber, with this state.
    TakesLong(CallState),
}

impl Attempt {
    fn over(answer: Result<Bytes, CallError>) -> Attempt {
        Attempt::Over { answer, was_found_running: false }
    }
}

/// Makes a call on a fiber, where it yields to other requests. Fails past the
/// deadline, which includes the host's own work for the call.
pub(super) async fn answer(
    instance: &mut Instance,
    request: &Message,
    engine: &Engine,
) -> Result<Bytes, CallError> {
    let length = length(request)?;
    let address = invoke(&mut instance.store, &instance.alloc, length).await?;
    let span = write_request(instance, Span { address, length }, request)?;
    if length as usize > LARGE_COPY {
        yield_now().await;
    }
    let packed = invoke(&mut instance.store, &instance.handle, span).await?;
    let response = read_response(instance, Span::unpack(packed), engine)?;
    deadline::check(&instance.store)?;
    if response.len() > LARGE_COPY {
        yield_now().await;
    }
    Ok(response)
}

/// Makes a call on the stack of the current thread, without yielding.
fn answer_here(instance: &mut Instance, request: &Message, engine: &Engine) -> Result<Bytes, Stopped> {
    let length = length(request)?;
    let address = instance.alloc.call(&mut instance.store, length)?;
    let span = write_request(instance, Span { address, length }, request)?;
    let packed = instance.handle.call(&mut instance.store, span)?;
    Ok(read_response(instance, Span::unpack(packed), engine)?)
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
