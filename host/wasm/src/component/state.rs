//! The data of a store during one call of a component, and limits on what all instances in the
//! store may use together.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use host_http::request_id::RequestId;
use http::HeaderName;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime::{Result, Store, UpdateDeadline};
use wasmtime_wasi::p2::DynOutputStream;
use wasmtime_wasi::p2::bindings::cli::{environment, stderr, stdout};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{
    DEFAULT_FORBIDDEN_HEADERS, Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
    WasiHttpView,
};

use crate::component::clocks::{self, Clocks};
use crate::component::random::Random;
use crate::component::stdio::{CHUNK_MAX, Output, Stdio};
use crate::deadline::DeadlinePassed;
use crate::limits::CallLimits;
use crate::values::Values;

/// Maximum number of resources (streams, bodies, field lists, waits and so on) that the host holds
/// for one call at a time. A resource holds at most four texts (an outgoing request: method, scheme,
/// authority and path), each of one call of a host function, so all together take at most 128 MiB (see
/// [`HOST_COPY_MAX`]).
pub const RESOURCES_MAX: usize = 256;

/// Maximum number of handles in one call, to resources of the host and of the component itself.
pub const HANDLES_MAX: usize = 10_000;

/// Maximum number of bytes that one call of a host function copies out of a component's memory.
pub const HOST_COPY_MAX: usize = 128 << 10;

/// Number of bytes that wasmtime-wasi-http counts for each field in addition to its name and value.
const FIELD: usize = 128;

/// Settings with which a call begins.
pub(super) struct Begin {
    pub(super) id: RequestId,
    pub(super) deadline: Instant,
    /// Time of the request, since the start of 1970.
    pub(super) time: Duration,
    pub(super) seed: Option<[u8; 32]>,
    /// Whether the log lines of this call are dropped.
    pub(super) is_quiet: bool,
}

/// The data of a store during one call.
pub(super) struct State {
    pub(super) table: ResourceTable,
    /// Context of files and sockets, which contains none. Created when it is first used.
    wasi: Option<WasiCtx>,
    http: WasiHttpCtx,
    hooks: Hooks,
    clocks: Clocks,
    pub(super) random: Random,
    pub(super) stdio: Stdio,
    pub(super) values: Arc<Values>,
    deadline: Instant,
    /// Maximum duration of the call (`--deadline`), for messages. `deadline` is computed from it.
    pub(super) deadline_limit: Duration,
    /// Number of ticks of the epoch during the call.
    pub(super) ticks: Arc<AtomicU32>,
    /// Size of all memories together, in bytes.
    pub(super) memory: usize,
    pub(super) memory_max: usize,
    /// Whether the component tried to grow a memory past `memory_max` during the call.
    pub(super) is_memory_full: bool,
    table_max: usize,
    pub(super) response_head_max: usize,
}

impl State {
    pub(super) fn new(limits: &CallLimits, values: &Arc<Values>, begin: &Begin) -> State {
        let mut table = ResourceTable::new();
        table.set_max_capacity(RESOURCES_MAX);
        let mut http = WasiHttpCtx::new();
        let fields = host_http::response::FIELDS_MAX * FIELD;
        http.set_field_size_limit(limits.response_head_max.saturating_add(fields));
        State {
            table,
            wasi: None,
            http,
            hooks: Hooks,
            clocks: Clocks::new(begin.time),
            random: Random::new(begin.seed),
            stdio: Stdio::new(limits, begin.id, values, begin.is_quiet),
            values: Arc::clone(values),
            deadline: begin.deadline,
            deadline_limit: limits.deadline,
            ticks: Arc::default(),
            memory: 0,
            memory_max: limits.memory_max,
            is_memory_full: false,
            table_max: limits.table_max,
            response_head_max: limits.response_head_max,
        }
    }

    /// Creates a store with this state. A call in the store yields at each tick of the epoch, and
    /// fails at the first tick after its deadline.
    pub(super) fn into_store(self, engine: &wasmtime::Engine) -> Store<State> {
        let mut store = Store::new(engine, self);
        store.limiter(|state| state);
        store.set_hostcall_fuel(HOST_COPY_MAX);
        store.set_max_component_handles(HANDLES_MAX);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|mut store| {
            let state = store.data_mut();
            if Instant::now() >= state.deadline {
                return Err(DeadlinePassed { limit: state.deadline_limit }.into());
            }
            state.ticks.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            // Not wasmtime's plain yield, as in `deadline`.
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        store
    }

    pub(super) fn clocks(&mut self) -> clocks::View<'_> {
        clocks::View { clocks: &self.clocks, table: &mut self.table }
    }

    fn output(&mut self, output: Output) -> Result<Resource<DynOutputStream>> {
        Ok(self.table.push(self.stdio.stream(output))?)
    }
}

impl wasmtime::ResourceLimiter for State {
    fn memory_growing(&mut self, current: usize, desired: usize, maximum: Option<usize>) -> Result<bool> {
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        let memory = self.memory.saturating_add(desired.saturating_sub(current));
        let has_room = memory <= self.memory_max;
        if has_room {
            self.memory = memory;
        }
        self.is_memory_full |= !has_room;
        Ok(has_room)
    }

    fn table_growing(&mut self, _: usize, desired: usize, _: Option<usize>) -> Result<bool> {
        Ok(desired <= self.table_max)
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: self.wasi.get_or_insert_default(), table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { hooks: &mut self.hooks, table: &mut self.table, ctx: &mut self.http }
    }
}

/// Tells the linker that the implementation of these interfaces is [`State`].
pub(super) struct Has;

impl HasData for Has {
    type Data<'a> = &'a mut State;
}

/// Tells the linker that the implementation of these interfaces is a [`ResourceTable`].
pub(super) struct HasTable;

impl HasData for HasTable {
    type Data<'a> = &'a mut ResourceTable;
}

impl environment::Host for State {
    /// Returns the values of the site as environment variables.
    fn get_environment(&mut self) -> Result<Vec<(String, String)>> {
        Ok(self.values.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
    }

    fn get_arguments(&mut self) -> Result<Vec<String>> {
        Ok(Vec::new())
    }

    fn initial_cwd(&mut self) -> Result<Option<String>> {
        Ok(None)
    }
}

impl stdout::Host for State {
    fn get_stdout(&mut self) -> Result<Resource<DynOutputStream>> {
        self.output(Output::Stdout)
    }
}

impl stderr::Host for State {
    fn get_stderr(&mut self) -> Result<Resource<DynOutputStream>> {
        self.output(Output::Stderr)
    }
}

/// Hooks of wasmtime-wasi-http, which refuse requests to other servers.
struct Hooks;

/// Response of another server to a request of a component, and the rest of the exchange.
type Answered = (http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>);

impl WasiHttpHooks for Hooks {
    // The default allocates at each call.
    fn is_forbidden_header(&mut self, name: &HeaderName) -> bool {
        DEFAULT_FORBIDDEN_HEADERS.contains(name)
    }

    fn send_request(
        &mut self,
        _request: http::Request<WasiBody>,
        _options: Option<RequestOptions>,
        _end: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Result<Answered, Error>> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        CHUNK_MAX
    }
}
