//! The binary: arguments, configuration, run, exit code.

use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Parser;
use host::args::{Args, Serve};
use host::control::listener::{self, Control};
use host::control::{command, place};
use host::http::{App, Buffers, FaultCounts, read_requests};
use host::listener::Listener;
use host::log::{self, Format};
use host::memory_bounds::{MemoryBounds, Others};
use host::record::{Flush, Recorder};
use host::request_id::ConnectionIds;
use host::resources::Gauges;
use host::swap::{Label, Settings, StateDir, Swapper, Task, begin, watch};
use host::tools::dev;
use host::wasm::Engine;
use host::{limits, listen, server};
use tokio::net::UnixListener;
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tracing::{info, warn};

/// Of a thread that serves, in bytes.
const STACK: usize = 2 << 20;

fn main() -> ExitCode {
    // First, because the limit on connections depends on it.
    limits::raise_descriptors();
    let args = Args::parse();
    let result = match args.command {
        Some(command) => command::run(command, |dev| run(dev.serve, |args| dev::run(args, serve))),
        None => run(args.serve, serve).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| {
        let _ = writeln!(io::stderr(), "error: {error:#}");
        ExitCode::FAILURE
    })
}

fn run<F>(args: Serve, serve: impl FnOnce(Serve) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let _log = log::init(args.log_format, &args.log_level);
    let mut threads = runtime::Builder::new_multi_thread();
    // Handlers run on these stacks too, whatever RUST_MIN_STACK says.
    threads.thread_stack_size(STACK);
    if let Some(count) = args.threads {
        threads.worker_threads(count.into());
    }
    let runtime = threads.enable_all().build().context("cannot start threads")?;
    let result = runtime.block_on(serve(args));
    // What is left are connections that the drain gave up on.
    runtime.shutdown_background();
    result
}

async fn serve(args: Serve) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut hangup = listen_for(SignalKind::hangup())?;
    let (terminate, interrupt) = (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);

    let mut probes = args.swap.probe;
    for file in &args.swap.probe_file {
        probes.extend(read_requests(file)?);
    }
    let engine = Engine::new(&args.limits)?;
    let buffers = Buffers::new(args.limits.buffer_max);
    let places = Arc::new(Semaphore::new(args.limits.connections));
    let gauges = Gauges {
        engine: engine.clone(),
        buffers: buffers.clone(),
        places: Arc::clone(&places),
        limits: args.limits.clone(),
    };
    let state = args.swap.state_dir.as_deref().and_then(|dir| open_state(dir, args.limits.module_max));
    let seen = args.module.as_deref().and_then(watch::look);
    let beginning = begin(&engine, &args.limits, args.module.as_deref(), state.as_ref()).await?;
    let label = beginning.version.label.clone();

    let listeners = listen::bind(&args.listen)?;
    let urls: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let port = listeners.iter().find_map(Listener::port).unwrap_or(0);

    let settings =
        Settings { engine, probes, module_max: args.limits.module_max, file: args.module.clone(), state };
    let swapper = Swapper::start(settings, beginning).context("cannot start the thread that swaps")?;
    if let Some(path) = args.module {
        if !args.swap.no_watch {
            watch::start(&path, seen, args.swap.watch, swapper.clone())
                .with_context(|| format!("cannot watch {} (--no-watch does not)", path.display()))?;
        }
        // It may have changed while no server was there to see it.
        if args.swap.state_dir.is_some() {
            swapper.order_and_go_on(Task::FileChanged);
        }
    }
    let on_hangup = swapper.clone();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            on_hangup.order_and_go_on(Task::ReadAgain);
        }
    });
    let faults = Arc::new(FaultCounts::default());
    let recorder = Recorder::start(&args.recording)?.map(Arc::new);
    let _flush = Flush(recorder.clone());
    let control = match args.swap.control {
        _ if args.swap.no_control => None,
        Some(path) => Some(place::bind(&path)?),
        // Nobody asked for it, so serving does not depend on it.
        None => {
            place::bind(&place::default_path(port)).inspect_err(|error| warn!("no commands: {error:#}")).ok()
        }
    };
    if let Some(control) = &control {
        let listener = UnixListener::from_std(control.listener.try_clone()?)?;
        let module_max = args.limits.module_max;
        let (swapper, urls, faults) = (swapper.clone(), urls.clone(), Arc::clone(&faults));
        let control = Control { swapper, urls, started, module_max, faults, gauges };
        tokio::spawn(listener::listen(listener, Arc::new(control)));
    }

    MemoryBounds::new(&args.limits, Others::default()).state(&args.limits);
    announce(&label, &urls, args.log_format);
    let app = App {
        swapper,
        tell_version: !args.swap.no_version_field,
        buffers,
        places,
        limits: args.limits,
        ids: ConnectionIds::new(),
        tell_cause: args.dev,
        faults,
        recorder,
        trusted: args.trust_forwarded,
        ending: Arc::default(),
    };
    let mut signals = Signals { terminate, interrupt };
    let (stop, stopped) = oneshot::channel::<()>();
    let serving = server::serve(listeners, Arc::new(app), async {
        let _ = stopped.await;
    });
    tokio::pin!(serving);
    tokio::select! {
        result = &mut serving => return Ok(result?),
        () = signals.next() => drop(stop),
    }
    tokio::select! {
        result = &mut serving => Ok(result?),
        () = signals.next() => Err(anyhow!("ended by a second signal, before all requests were answered")),
    }
}

/// The signals that end the server.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The folder for the state. A server that cannot have it serves all the same.
fn open_state(path: &Path, module_max: usize) -> Option<StateDir> {
    StateDir::open(path, module_max)
        .inspect_err(|error| {
            warn!("versions will not survive a restart: cannot use {}: {error:#}", path.display())
        })
        .ok()
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// Says what is served and where: to people on standard error, to scripts on
/// standard output, in one line that begins with `ready` and lists the URLs.
/// Nobody may be there to read either, and that is no reason not to serve.
fn announce(version: &Label, urls: &[String], format: Format) {
    match format {
        Format::Json => info!(%version, urls = urls.join(" "), "serving"),
        Format::Text => {
            let list: String = urls.iter().map(|url| format!("  {url}\n")).collect();
            let banner =
                format!("host {} serves {version}\n{list}Stop it with Ctrl-C.\n", env!("CARGO_PKG_VERSION"));
            let _ = io::stderr().write_all(banner.as_bytes());
        }
    }
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "ready {}", urls.join(" ")).and_then(|()| stdout.flush());
}
