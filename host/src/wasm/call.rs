//! One call of the handler: an instance with the state that every request starts
//! from, the request in, the response out.

use std::pin::Pin;
use std::time::Instant;

use bytes::Bytes;
use handler_sdk::abi::{NO_ROOM, Span};
use tokio::task::yield_now;
use wasmtime::{Store, TypedFunc, WasmParams, WasmResults};

use super::deadline::{self, AtTick, TakesLong};
use super::engine::{Engine, Purpose};
use super::failure::{CallError, explain};
use super::handler::HandlerModule;
use super::instance::{CallState, Instance};
use super::memory;
use crate::message::Message;
use crate::request_id::RequestId;

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
    /// A short call for which an instance waits is over when this returns.
    pub fn call<'a>(&'a self, request: &'a Message, id: RequestId, since: Instant) -> Call<'a> {
        let engine = self.engine();
        let mut state = CallState::new(engine.limits(), id, since);
        let short = if self.expects_long_call() { None } else { engine.begin_short() };
        let idle = short.and_then(|short| Some((short, self.take_idle()?)));
        // Held until the instance is back in its place, so that no more are about.
        let Some((_short, mut instance)) = idle else {
            return Call::Running(Box::pin(self.call_on_fiber(request, state)));
        };
        state.at_tick = AtTick::GoOn;
        instance.begin(state);
        let answer = answer_here(&mut instance, request, engine);
        match answer.map_err(|stopped| stopped.with_panic(&mut instance)) {
            Ok(response) => {
                let took_long = instance.store.data().at_tick != AtTick::GoOn || response.len() > MUCH;
                let in_time = if took_long { deadline::check(&instance.store) } else { Ok(()) };
                self.give_back(instance);
                match took_long {
                    false => Call::Over(Ok(response)),
                    // Others have waited meanwhile.
                    true => Call::Running(Box::pin(async move {
                        yield_now().await;
                        in_time.map(|()| response)
                    })),
                }
            }
            Err(Stopped::TakesLong) => {
                self.expect_long_calls();
                let state = instance.store.data().again(engine.limits());
                drop(instance);
                Call::Running(Box::pin(async move {
                    yield_now().await;
                    self.call_on_fiber(request, state).await
                }))
            }
            Err(Stopped::Failed(failure)) => Call::Over(Err(failure)),
        }
    }

    /// Makes a call on a stack of its own, from where it can give way, as soon as
    /// it may begin.
    async fn call_on_fiber(&self, request: &Message, mut state: CallState) -> Result<Bytes, CallError> {
        let engine = self.engine();
        let _permit = match engine.admit_at_once() {
            Some(permit) => permit,
            None => {
                let permit = engine.admit(Purpose::Request).await?;
                // That it had to wait does not count.
                state.deadline = Instant::now() + engine.limits().deadline;
                permit
            }
        };
        self.count_long_call();
        let mut instance = match self.take_idle() {
            Some(mut instance) => {
                instance.begin(state);
                instance
            }
            None => self.new_instance(state).await?,
        };
        match answer(&mut instance, request, engine).await {
            Ok(response) => {
                self.give_back(instance);
                Ok(response)
            }
            Err(failure) => Err(failure.with_panic(&mut instance).await),
        }
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
enum Stopped {
    /// It has to be made where it can give way.
    TakesLong,
    Failed(CallError),
}

impl Stopped {
    /// The same with what the module has to say about it.
    fn with_panic(self, instance: &mut Instance) -> Stopped {
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
        if error.is::<TakesLong>() { Stopped::TakesLong } else { Stopped::Failed(explain(&error)) }
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
