//! Reference for the isolation of requests: plain wasmtime with a new instance for each request.
//! The host must give the same responses.

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use super::hoarder;
use clap::Parser;
use host::cli::args::Args;
use host_http::message::Message;
use host_http::request_id::RequestId;
use host_wasm::{Call, CallError, CompiledHandler, Effort, Handler, Values};
use wasmtime::{Config, Engine, Instance, Module, Store, StoreLimits, StoreLimitsBuilder, Trap};

/// Bytes of a response, or the message of a trap.
pub type Outcome = Result<Vec<u8>, String>;

/// Number of requests that [`compare`] makes to one module.
const REQUESTS: usize = 12;

/// Maximum memory in bytes of an instance in the reference. It is the default of the host.
const MEMORY_MAX: usize = 64 << 20;

/// Makes one request to a new instance in plain wasmtime.
pub fn fresh(module: &Module, request: &[u8]) -> Outcome {
    let limits = StoreLimitsBuilder::new().memory_size(MEMORY_MAX).table_elements(65_536).build();
    let mut store = Store::new(module.engine(), limits);
    store.limiter(|limits: &mut StoreLimits| limits);
    let run = |store: &mut Store<StoreLimits>| {
        let instance = Instance::new(&mut *store, module, &[])?;
        if let Ok(initialize) = instance.get_typed_func::<(), ()>(&mut *store, "_initialize") {
            initialize.call(&mut *store, ())?;
        }
        let alloc = instance.get_typed_func::<u32, u32>(&mut *store, "alloc")?;
        let address = alloc.call(&mut *store, request.len() as u32)?;
        let memory = instance.get_memory(&mut *store, "memory").unwrap();
        memory.write(&mut *store, address as usize, request).unwrap();
        let handle = instance.get_typed_func::<(u32, u32), u64>(&mut *store, "handle")?;
        let packed = handle.call(&mut *store, (address, request.len() as u32))?;
        let (address, length) = ((packed >> 32) as usize, packed as u32 as usize);
        wasmtime::Result::Ok(memory.data(&store)[address..address + length].to_vec())
    };
    run(&mut store).map_err(|error: wasmtime::Error| error.downcast_ref::<Trap>().unwrap().to_string())
}

/// Compiles a module for [`fresh`].
pub fn compile(wat: &str) -> Module {
    static ENGINE: OnceLock<Engine> = OnceLock::new();
    let engine = ENGINE.get_or_init(|| {
        let mut config = Config::new();
        config.cranelift_nan_canonicalization(true);
        Engine::new(&config).unwrap()
    });
    Module::new(engine, wat::parse_str(wat).unwrap()).unwrap()
}

/// Calls modules as the host does, without a server.
pub struct Host {
    engine: host_wasm::Engine,
    pub runtime: tokio::runtime::Runtime,
}

impl Host {
    pub fn new() -> Host {
        Host::with(&[], tokio::runtime::Builder::new_current_thread())
    }

    /// Creates a host with the limits of these flags, and with a runtime that `threads` builds.
    pub fn with(flags: &[&str], mut threads: tokio::runtime::Builder) -> Host {
        let limits = Args::parse_from([&["host"], flags].concat()).serve.limits;
        Host {
            engine: host_wasm::Engine::new(&limits.for_engine()).unwrap(),
            runtime: threads.enable_all().build().unwrap(),
        }
    }

    /// Compiles and starts a module. The error is the message of a trap.
    pub fn start(&self, module: &[u8], effort: Effort) -> Result<Handler, String> {
        self.start_with(module, effort, Arc::default())
    }

    /// Compiles a module, and starts it with these values.
    pub fn start_with(&self, module: &[u8], effort: Effort, values: Arc<Values>) -> Result<Handler, String> {
        let module = CompiledHandler::compile_here(&self.engine, module, effort).unwrap();
        let module = self.runtime.block_on(module.start(values)).map_err(trap)?;
        // Only a serving module keeps its instances from one call to the next.
        module.set_serving(true);
        Ok(module)
    }

    /// Makes one request to a module, which may reuse the instance of an earlier request.
    pub fn call(&self, module: &Handler, request: &[u8]) -> Outcome {
        let request = Message::from(request.to_vec());
        let response = self.runtime.block_on(call(module, &request).end());
        response.map(Vec::from).map_err(trap)
    }
}

/// Calls a module as a server does, with a request that has just arrived.
pub fn call<'a>(module: &'a Handler, request: &'a Message) -> Call<'a> {
    module.call(request, RequestId::none(), Instant::now())
}

fn trap(error: CallError) -> String {
    match error {
        CallError::Trap { trap, .. } => trap,
        other => panic!("not a trap: {other}"),
    }
}

/// Compares the host with the reference on a module and requests that `below` chooses (see
/// `hoarder::module`).
pub fn compare(host: &Host, below: &mut dyn FnMut(usize) -> usize) {
    let wat = hoarder::module(below);
    let reference = compile(&wat);
    let effort = if below(2) == 0 { Effort::Quick } else { Effort::Thorough };
    let module = match host.start(wat.as_bytes(), effort) {
        Ok(module) => module,
        Err(trap) => {
            assert_eq!(fresh(&reference, b"GET /"), Err(trap), "{wat}");
            return;
        }
    };
    for number in 0..REQUESTS {
        let target: String = (0..4 + below(40)).map(|_| char::from(b'!' + below(90) as u8)).collect();
        let request = format!("GET /{target} HTTP/1.1\r\n\r\n");
        let (expected, found) =
            (fresh(&reference, request.as_bytes()), host.call(&module, request.as_bytes()));
        assert_eq!(expected, found, "request {number}, {request:?}, to {wat}");
    }
}
