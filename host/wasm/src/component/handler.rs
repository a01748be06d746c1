//! A started component: the handler of one version. Each call gets a new instance.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use host_http::client_net::ClientNet;
use host_http::message::Message;
use host_http::request_id::RequestId;
use tokio::task::unconstrained;
use tokio::time::timeout_at;

use crate::call::{Call, Ended, LONG_TICKS};
use crate::call_error::CallError;
use crate::component::compiled::CompiledComponent;
use crate::component::exchange::{Exchange, Used};
use crate::component::failure::instantiation_failed;
use crate::component::request::Incoming;
use crate::component::response::collect;
use crate::component::state::{Begin, State};
use crate::engine::Engine;
use crate::measure::Usage;
use crate::permits::Permit;
use crate::values::Values;

/// Seed of the random bits of the trial instance that is created when a component starts. That
/// instance answers no request.
const TRIAL: [u8; 32] = [0; 32];

/// Component that has passed its trial start, with its values.
pub struct ComponentHandler {
    pub(super) compiled: CompiledComponent,
    pub(super) values: Arc<Values>,
}

/// Time after the deadline at which a waiting call is ended. A computing call is ended earlier, at
/// a tick of the epoch, so that the error can list the functions on the stack.
const GRACE: Duration = Duration::from_millis(5);

/// Call in progress, which can move to another thread.
type Running = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// Result of a call, and the resources that it used if an instance was created.
type Outcome = (Result<Bytes, CallError>, Option<Used>);

impl CompiledComponent {
    /// Starts the component: creates a trial instance, within the deadline.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the trial instance cannot be created.
    pub(crate) async fn start(self, values: Arc<Values>) -> Result<ComponentHandler, CallError> {
        self.start_as(false, values).await
    }

    /// Starts the component, and drops its log lines, because an earlier start has logged them.
    ///
    /// # Errors
    ///
    /// [`CallError`] when the trial instance cannot be created.
    pub(crate) async fn start_quietly(self, values: Arc<Values>) -> Result<ComponentHandler, CallError> {
        self.start_as(true, values).await
    }

    async fn start_as(self, is_quiet: bool, values: Arc<Values>) -> Result<ComponentHandler, CallError> {
        let limits = self.engine.limits();
        let _permit = self.engine.admission().begin_candidate().await?;
        self.code.engine.wake_ticker();
        let deadline = Instant::now() + limits.deadline;
        let (id, time, seed) = (RequestId::none(), Duration::ZERO, Some(TRIAL));
        let begin = Begin { id, deadline, time, seed, is_quiet };
        let mut store = State::new(limits, &values, &begin).into_store(self.code.engine.wasmtime());
        let started = timeout_at(deadline.into(), self.code.component.instantiate_async(&mut store)).await;
        match started {
            Ok(Ok(_)) => Ok(ComponentHandler { compiled: self, values }),
            Ok(Err(error)) => Err(instantiation_failed(&error, store.data())),
            Err(_) => Err(CallError::Deadline { limit: limits.deadline, frames: Vec::new() }),
        }
    }
}

impl ComponentHandler {
    /// Calls the component with one request, in this task. The clients share the permits for long
    /// calls. The deadline counts from `since`, or from the end of a wait for a permit. A call that
    /// computes for long moves to the threads for long calls.
    pub(crate) fn call<'a>(
        self: &'a Arc<Self>,
        client: Option<ClientNet>,
        request: &'a Message,
        id: RequestId,
        since: Instant,
    ) -> Call<'a> {
        Call::Running(Box::pin(async move {
            let admission = self.engine().admission();
            let limit = self.engine().limits().deadline;
            let (permit, waited, deadline) = match admission.try_begin_long(client) {
                Some(permit) => (permit, Duration::ZERO, since + limit),
                None => {
                    let asked = Instant::now();
                    let permit = admission.begin_long(client).await;
                    let waited = asked.elapsed();
                    match permit {
                        // The deadline does not include the wait.
                        Ok(permit) => (permit, waited, Instant::now() + limit),
                        Err(busy) => return Ended { result: Err(busy), waited },
                    }
                }
            };
            let begun = self.begin(request, id, deadline, false);
            let result = match begun {
                Ok((call, ticks)) => self.run(permit, call, &ticks).await,
                Err(error) => Err(error),
            };
            Ended { result, waited }
        }))
    }

    /// Calls the component with one request, and measures the call. Uses a permit for calls of
    /// candidates. Drops the log lines of the call if `is_quiet` is set.
    pub(crate) async fn measure(
        self: &Arc<Self>,
        request: &Message,
        id: RequestId,
        is_quiet: bool,
    ) -> (Result<Bytes, CallError>, Usage) {
        let outcome = async {
            let _permit = self.engine().admission().begin_candidate().await?;
            // Without the wait for the permit.
            let deadline = Instant::now() + self.engine().limits().deadline;
            let (call, _) = self.begin(request, id, deadline, is_quiet)?;
            let (result, used) = call.await;
            let usage = used.map_or(Usage::default(), |used| Usage {
                time: used.since.elapsed(),
                memory: used.memory,
                grown: used.memory.saturating_sub(used.memory_before),
                written: None,
            });
            Ok((result, usage))
        };
        outcome.await.unwrap_or_else(|error| (Err(error), Usage::default()))
    }

    /// Prepares a call. Also returns the counter of the ticks of the epoch during the call.
    fn begin(
        self: &Arc<Self>,
        request: &Message,
        id: RequestId,
        deadline: Instant,
        is_quiet: bool,
    ) -> Result<(Running, Arc<AtomicU32>), CallError> {
        let limits = self.engine().limits();
        let incoming = Incoming::new(request)?;
        let begin = Begin { id, deadline, time: incoming.time, seed: request.seed, is_quiet };
        let state = State::new(limits, &self.values, &begin);
        let ticks = Arc::clone(&state.ticks);
        let handler = Arc::clone(self);
        let call = async move {
            let limits = handler.engine().limits();
            // Without tokio's budget, because what is not ready after the end of the guest is taken
            // for missing.
            let answer = unconstrained(handler.answer(state, incoming));
            let late = CallError::Deadline { limit: limits.deadline, frames: Vec::new() };
            timeout_at((deadline + GRACE).into(), answer).await.unwrap_or((Err(late), None))
        };
        Ok((Box::pin(call), ticks))
    }

    /// Runs a call that has a permit. A call that computes for [`LONG_TICKS`] ticks moves to the
    /// threads for long calls, where it takes turns with others.
    async fn run(
        self: &Arc<Self>,
        // Dropped after the call, whose instance it stands for.
        permit: Permit,
        mut call: Running,
        ticks: &AtomicU32,
    ) -> Result<Bytes, CallError> {
        let begun = poll_fn(|cx| match call.as_mut().poll(cx) {
            Poll::Ready(outcome) => Poll::Ready(Some(outcome)),
            Poll::Pending if ticks.load(Relaxed) >= LONG_TICKS => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        });
        if let Some((result, _)) = begun.await {
            return result;
        }
        let handler = Arc::clone(self);
        let call = async move {
            let _permit = permit;
            handler.engine().admission().in_turns(call).await.0
        };
        self.engine().long_threads().run(call).await?
    }

    async fn answer(&self, state: State, incoming: Incoming) -> Outcome {
        let code = &self.compiled.code;
        code.engine.wake_ticker();
        let method = incoming.request.method().clone();
        let store = state.into_store(code.engine.wasmtime());
        let mut exchange = match Exchange::new(&code.component, store, incoming) {
            Ok(exchange) => exchange,
            Err(error) => return (Err(CallError::no_instance(error)), None),
        };
        let result = collect(&mut exchange, &method, self.engine().limits().response_max).await;
        (result, exchange.used())
    }

    /// Returns the memory in bytes of the machine code, and of the file while that is still to be
    /// optimised.
    pub(crate) fn memory(&self) -> usize {
        self.compiled.code.size + self.compiled.unoptimised.as_ref().map_or(0, |file| file.len())
    }

    pub(crate) fn compiled(&self) -> CompiledComponent {
        self.compiled.clone()
    }

    pub(crate) fn unoptimised(&self) -> Option<Arc<[u8]>> {
        self.compiled.unoptimised.clone()
    }

    pub(crate) fn values(&self) -> &Arc<Values> {
        &self.values
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.compiled.engine
    }
}
