//! One call of the handler: an instance with the state that every request starts
//! from, the request in, the response out.

use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use host_http::client_net::ClientNet;
use host_http::message::Message;
use host_http::request_id::RequestId;
use tokio::task::yield_now;
use wasmtime::{Store, TypedFunc, WasmParams, WasmResults};

use crate::admission::Short;
use crate::deadline::{AtTick, TakesLong};
use crate::engine::Engine;
use crate::failure::{CallError, explain};
use crate::handler::HandlerModule;
use crate::instance::{CallState, Instance};
use crate::{deadline, memory};

/// Bytes that the host copies for one call, after which others get a turn: it takes
/// a tenth of a millisecond or more.
const MUCH: usize = 1 << 20;

/// A call that was begun.
pub enum Call<'a> {
    /// It is over already, as nearly all are.
    Over(Result<Bytes, CallError>),
    /// It has to wait, or takes long.
    Running(Running<'a>),
}

type Running<'a> = Pin<Box<dyn Future<Output = Result<Bytes, CallError>> + Send + 'a>>;

impl Call<'_> {
    /// Waits for its end.
    ///
    /// # Errors
    ///
    /// [`CallError`] says what went wrong, and in whom.
    pub async fn end(self) -> Result<Bytes, CallError> {
        match self {
            Call::Over(result) => result,
            Call::Running(call) => call.await,
        }
    }
}

impl HandlerModule {
    /// Calls the handler with one request, and returns the bytes of its response,
    /// still unchecked. The deadline counts from `since`, or from the moment when
    /// the call could begin.
    ///
    /// A short call is over when this returns.
    pub fn call<'a>(&'a self, request: &'a Message, id: RequestId, since: Instant) -> Call<'a> {
        self.call_for(None, request, id, since)
    }

    /// Calls the handler for a client, which has its share of long calls.
    pub fn call_for<'a>(
        &'a self,
        client: Option<ClientNet>,
        request: &'a Message,
        id: RequestId,
        since: Instant,
    ) -> Call<'a> {
        if self.long_targets.expects(request) {
            let state = CallState::new(self.engine().limits(), id, since);
            return Call::Running(Box::pin(self.call_on_fiber(client, request, state)));
        }
        let Some(short) = self.engine().begin_short() else {
            return Call::Running(Box::pin(async move {
                let short = self.engine().wait_for_short().await?;
                // That it had to wait does not count.
                let attempt = self.attempt(short, request, id, Instant::now());
                self.follow(attempt, client, request).await
            }));
        };
        match self.attempt(short, request, id, since) {
            Attempt::Over { answer, was_found_running: false } => Call::Over(answer),
            attempt => Call::Running(Box::pin(self.follow(attempt, client, request))),
        }
    }

    /// Makes a call on the stack of the thread, which waits for it, but not for
    /// long. The right to do so is held until the instance is back in its place, so
    /// that there are no more instances than there may be.
    fn attempt(&self, _short: Short<'_>, request: &Message, id: RequestId, since: Instant) -> Attempt {
        let limits = self.engine().limits();
        let state = || CallState::new(limits, id, since).of_short_call();
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
                return Attempt::TakesLong(CallState::new(limits, id, since));
            }
            Err(Stopped::Failed(failure)) => return Attempt::over(Err(failure)),
        };
        let answer = answer_here(&mut instance, request, self.engine());
        match answer.map_err(|stopped| stopped.with_panic(&mut instance)) {
            Ok(response) => {
                let took_long = instance.store.data().at_tick != AtTick::GoOn || response.len() > MUCH;
                let in_time = if took_long { deadline::check(&instance.store) } else { Ok(()) };
                self.give_back(instance);
                self.long_targets.note(request, false);
                // What the host does counts, too: past the deadline there is no response.
                Attempt::Over { answer: in_time.map(|()| response), was_found_running: took_long }
            }
            Err(Stopped::TakesLong) => {
                self.long_targets.note(request, true);
                Attempt::TakesLong(instance.store.data().again(limits))
            }
            Err(Stopped::Failed(failure)) => Attempt::over(Err(failure)),
        }
    }

    /// What is left to be done after an attempt, when others have had their turn.
    async fn follow(
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

    /// Makes a call on a stack of its own, from where it can give way, as soon as
    /// it may begin.
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
                // That it had to wait does not count.
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
                Err(failure) => Err(failure.with_panic(&mut instance).await),
            }
        };
        engine.in_turns(call).await
    }
}

/// What came of a call that held its thread.
enum Attempt {
    Over {
        answer: Result<Bytes, CallError>,
        /// Whether a tick found it running, so that others have waited meanwhile.
        was_found_running: bool,
    },
    /// It has to be made where it can give way.
    TakesLong(CallState),
}

impl Attempt {
    fn over(answer: Result<Bytes, CallError>) -> Attempt {
        Attempt::Over { answer, was_found_running: false }
    }
}

/// Makes a call, and gives way to others while it runs. What the host does for it
/// counts: past the deadline there is no response any more.
pub(super) async fn answer(
    instance: &mut Instance,
    request: &Message,
    engine: &Engine,
) -> Result<Bytes, CallError> {
    let length = length(request)?;
    let address = invoke(&mut instance.store, &instance.alloc, length).await?;
    let span = put_in(instance, Span { address, length }, request)?;
    if length as usize > MUCH {
        yield_now().await;
    }
    let packed = invoke(&mut instance.store, &instance.handle, span).await?;
    let response = take_out(instance, Span::unpack(packed), engine)?;
    deadline::check(&instance.store)?;
    if response.len() > MUCH {
        yield_now().await;
    }
    Ok(response)
}

/// The same on the stack of the thread, which waits for it.
fn answer_here(instance: &mut Instance, request: &Message, engine: &Engine) -> Result<Bytes, Stopped> {
    let length = length(request)?;
    let address = instance.alloc.call(&mut instance.store, length)?;
    let span = put_in(instance, Span { address, length }, request)?;
    let packed = instance.handle.call(&mut instance.store, span)?;
    Ok(take_out(instance, Span::unpack(packed), engine)?)
}

/// Why a call gave no response on the stack of its thread.
pub(super) enum Stopped {
    /// It has to be made where it can give way.
    TakesLong,
    Failed(CallError),
}

impl Stopped {
    /// Why wasmtime stopped, where `explain` says what another error means.
    pub(super) fn by(error: &wasmtime::Error, explain: fn(&wasmtime::Error) -> CallError) -> Stopped {
        if error.is::<TakesLong>() { Stopped::TakesLong } else { Stopped::Failed(explain(error)) }
    }

    /// The same with what the module has to say about it.
    pub(super) fn with_panic(self, instance: &mut Instance) -> Stopped {
        match self {
            Stopped::Failed(failure) => Stopped::Failed(failure.with_panic_here(instance)),
            Stopped::TakesLong => self,
        }
    }
}

impl From<CallError> for Stopped {
    fn from(error: CallError) -> Stopped {
        Stopped::Failed(error)
    }
}

impl From<wasmtime::Error> for Stopped {
    fn from(error: wasmtime::Error) -> Stopped {
        Stopped::by(&error, explain)
    }
}

/// Of a whole request, in bytes.
fn length(request: &Message) -> Result<u32, CallError> {
    let length = request.length();
    u32::try_from(length).map_err(|_| CallError::NoRoom { length })
}

/// Writes a request to where `alloc` said.
fn put_in(instance: &mut Instance, span: Span, request: &Message) -> Result<(u32, u32), CallError> {
    if span.address == NO_ROOM {
        return Err(CallError::NoRoom { length: span.length as usize });
    }
    memory::write(instance, span, request)?;
    Ok((span.address, span.length))
}

/// Reads the response from where `handle` said.
fn take_out(instance: &Instance, span: Span, engine: &Engine) -> Result<Bytes, CallError> {
    let limit = engine.limits().response_max;
    if span.length as usize > limit {
        return Err(CallError::ResponseTooLong { length: span.length, limit });
    }
    let bytes = memory::view(instance.memory, &instance.store, span)
        .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::HANDLE, cause })?;
    Ok(engine.responses().copy(bytes))
}

/// Calls one function of a module.
pub(super) async fn invoke<P, R>(
    store: &mut Store<CallState>,
    function: &TypedFunc<P, R>,
    parameters: P,
) -> Result<R, CallError>
where
    P: WasmParams + Sync,
    R: WasmResults + Sync,
{
    function.call_async(store, parameters).await.map_err(|error| explain(&error))
}
