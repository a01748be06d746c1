//! One call of the handler: gets an instance, writes the request into it, runs it,
//! and reads the response.
//!
//! A call first runs on the stack of the serving thread, which is cheap but blocks the thread. If
//! the call takes long, it is stopped and repeated on a fiber, where it can yield to other long
//! calls. A server has separate threads for long calls (see `long_threads`). Requests that are
//! expected to take long go to these threads at once.

use std::mem::take;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

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
use crate::instance::Instance;
use crate::permits::Permit;
use crate::started::HandlerModule;
use crate::{deadline, memory};

/// Length of a response in bytes above which a short call yields after it has copied the response.
/// The copy takes a tenth of a millisecond or more.
const LARGE_COPY: usize = 1 << 20;

/// Number of ticks of the epoch (see `deadline`) from which on a call on a fiber counts as long. A
/// short call may run at a tick or two when other threads use its core.
pub(super) const LONG_TICKS: u32 = 3;

/// A started call.
pub enum Call<'a> {
    /// Finished already, as nearly all calls are.
    Over(Result<Bytes, CallError>),
    /// Still waiting or running.
    Running(Running<'a>),
}

type Running<'a> = Pin<Box<dyn Future<Output = Ended> + Send + 'a>>;

/// Outcome of a call that did not finish at once.
pub struct Ended {
    /// Response, or why there is none.
    pub result: Result<Bytes, CallError>,
    /// Time for which the call waited to run.
    pub waited: Duration,
}

impl Call<'_> {
    /// Waits for the response.
    ///
    /// # Errors
    ///
    /// [`CallError`] says what went wrong, and whether module or server is at fault.
    pub async fn end(self) -> Result<Bytes, CallError> {
        match self {
            Call::Over(result) => result,
            Call::Running(call) => call.await.result,
        }
    }
}

/// State of a call after the attempt on the stack of the current thread.
enum Begun {
    Over(Result<Bytes, CallError>),
    /// The call gave this response, but took so long that the thread serves other requests first.
    Large(Bytes),
    /// The call takes long, or is expected to, and must run on a fiber with this state.
    Long(CallState),
}

impl HandlerModule {
    /// Calls the handler with one request. The response is not checked yet. The
    /// deadline counts from `since`, or from the end of a wait for a permit.
    ///
    /// A short call has usually finished when this returns. Other calls run in the task that awaits
    /// the returned [`Call`].
    pub fn call<'a>(&'a self, request: &'a Message, id: RequestId, since: Instant) -> Call<'a> {
        match self.begin(request, id, since) {
            Some(Begun::Over(result)) => Call::Over(result),
            begun => Call::Running(Box::pin(async move {
                let mut waited = Duration::ZERO;
                let (_permit, state) = match self.until_permit(begun, None, request, id, &mut waited).await {
                    Ok(long) => long,
                    Err(result) => return Ended { result, waited },
                };
                let attempt = self.engine().admission().in_turns(self.run(request, state)).await;
                Ended { result: attempt.answer.map_err(CallError::from), waited }
            })),
        }
    }

    /// Calls the handler for a client. The clients share the permits for long calls. A long call
    /// runs on separate threads: it moves the message out of `request`, and puts it back at its
    /// end, unless the call is dropped before.
    pub fn call_for<'a>(
        self: &'a Arc<Self>,
        client: Option<ClientNet>,
        request: &'a mut Message,
        id: RequestId,
        since: Instant,
    ) -> Call<'a> {
        match self.begin(request, id, since) {
            Some(Begun::Over(result)) => Call::Over(result),
            begun => Call::Running(Box::pin(async move {
                let mut waited = Duration::ZERO;
                let (permit, state) = match self.until_permit(begun, client, request, id, &mut waited).await {
                    Ok(long) => long,
                    Err(result) => return Ended { result, waited },
                };
                let (module, message) = (Arc::clone(self), take(request));
                let call = async move {
                    let _permit = permit;
                    let attempt = module.engine().admission().in_turns(module.run(&message, state)).await;
                    (attempt.answer, message)
                };
                let result = match self.engine().long_threads().run(call).await {
                    Ok((answer, message)) => {
                        *request = message;
                        answer.map_err(CallError::from)
                    }
                    Err(error) => Err(error),
                };
                Ended { result, waited }
            })),
        }
    }

    /// Makes a call on the stack of the current thread, unless the call is expected to take long.
    /// Returns [`None`] if no slot for a short call is free.
    fn begin(&self, request: &Message, id: RequestId, since: Instant) -> Option<Begun> {
        if self.long_targets.expects(request) {
            let state = CallState::new(self.engine().limits(), id, since);
            return Some(Begun::Long(state.seeded(request.seed)));
        }
        let short = self.engine().admission().begin_short()?;
        Some(self.begin_short(short, request, id, since))
    }

    fn begin_short(&self, short: Short<'_>, request: &Message, id: RequestId, since: Instant) -> Begun {
        let state = || CallState::new(self.engine().limits(), id, since).seeded(request.seed);
        let Attempt { answer, was_long, log_lines } = self.attempt(short, request, state().on_thread());
        match answer {
            Ok(response) if was_long || response.len() > LARGE_COPY => Begun::Large(response),
            Ok(response) => Begun::Over(Ok(response)),
            Err(Stopped::Failed(failure)) => Begun::Over(Err(failure)),
            Err(Stopped::TakesLong) => Begun::Long(CallState { log_lines_heard: log_lines, ..state() }),
        }
    }

    /// Waits until the call has finished, or until a long call has its permit. Returns the result
    /// of a finished call as the error. Adds the time for which the call waited to run to `waited`.
    async fn until_permit(
        &self,
        begun: Option<Begun>,
        client: Option<ClientNet>,
        request: &Message,
        id: RequestId,
        waited: &mut Duration,
    ) -> Result<(Permit, CallState), Result<Bytes, CallError>> {
        let begun = match begun {
            Some(begun) => begun,
            None => {
                let since = Instant::now();
                let short = self.engine().admission().wait_for_short().await;
                *waited += since.elapsed();
                match short {
                    // The deadline does not include the wait.
                    Ok(short) => self.begin_short(short, request, id, Instant::now()),
                    Err(busy) => return Err(Err(busy)),
                }
            }
        };
        match begun {
            Begun::Over(result) => Err(result),
            Begun::Large(response) => {
                yield_now().await;
                Err(Ok(response))
            }
            Begun::Long(state) => self.begin_long(client, state, waited).await.map_err(Err),
        }
    }

    /// Makes a call on the stack of the current thread, and stops the call if it takes
    /// long. Holds `_short` until the instance is idle again, so that there are never more
    /// instances than the limit.
    fn attempt(&self, _short: Short<'_>, request: &Message, state: CallState) -> Attempt {
        let call = pin!(self.run(request, state));
        match call.poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(attempt) => attempt,
            // Does not happen, because a call on the thread's stack never waits.
            Poll::Pending => Attempt { answer: Err(Stopped::TakesLong), was_long: true, log_lines: 0 },
        }
    }

    /// Waits for a permit for a long call.
    async fn begin_long(
        &self,
        client: Option<ClientNet>,
        mut state: CallState,
        waited: &mut Duration,
    ) -> Result<(Permit, CallState), CallError> {
        let admission = self.engine().admission();
        if let Some(permit) = admission.try_begin_long(client) {
            return Ok((permit, state));
        }
        let since = Instant::now();
        let permit = admission.begin_long(client).await;
        *waited += since.elapsed();
        let permit = permit?;
        // The deadline does not include the wait.
        state.deadline = Instant::now() + self.limits().deadline;
        Ok((permit, state))
    }

    /// Makes a call with an idle or a new instance, and notes whether it takes long.
    async fn run(&self, request: &Message, state: CallState) -> Attempt {
        let on_fiber = state.on_fiber;
        let attempt = match self.instance(state).await {
            Err(stopped) => Attempt { answer: Err(stopped), was_long: false, log_lines: 0 },
            Ok(mut instance) => {
                let answer = answer(&mut instance, request, self.engine()).await;
                let state = instance.store.data();
                let was_long = match on_fiber {
                    true => state.ticks >= LONG_TICKS,
                    false => state.first_tick.is_some(),
                };
                // The message about dropped lines is one more.
                let log_lines =
                    self.limits().log_lines_max - state.log_lines_left + usize::from(state.log_cut);
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
    /// Whether the call took long: it ran at a tick of the epoch (see `deadline`), or, on a fiber,
    /// at [`LONG_TICKS`] ticks.
    was_long: bool,
    /// Number of log lines of the call.
    log_lines: usize,
}

/// Calls the module in an instance, and returns the response. Fails after the deadline, which
/// includes the host's own work for the call.
pub(super) async fn answer(
    instance: &mut Instance,
    request: &Message,
    engine: &Engine,
) -> Result<Bytes, Stopped> {
    let length = length(request)?;
    let address = invoke(&mut instance.store, &instance.alloc, length).await?;
    let span = write_request(instance, Span { address, length }, request)?;
    let on_fiber = instance.store.data().on_fiber;
    let packed = invoke(&mut instance.store, &instance.handle, span).await?;
    let response = read_response(instance, Span::unpack(packed), engine)?;
    let is_large = response.len() > LARGE_COPY;
    // The clock is not read for a short call, which has no time to pass its deadline.
    if on_fiber || is_large || instance.store.data().first_tick.is_some() {
        deadline::check(&instance.store)?;
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
