//! Binary: parses the command line, loads the configuration, runs the server and
//! sets the exit code.

use std::io::{self, Write};
use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, anyhow};
use clap::Parser;
use host::admin::listener::{self, Control};
use host::admin::memory_bounds::{self, MemoryBounds};
use host::admin::place;
use host::admin::resources::Gauges;
use host::cli::args::Args;
use host::cli::command;
use host::cli::dev;
use host::cli::serve::Serve;
use host::config::limits;
use host::fault_counts::FaultCounts;
use host::net::listen;
use host::net::listener::Listener;
use host::record::{Flush, Recorder};
use host::serve::buffers::Buffers;
use host::serve::server;
use host::serve::service::App;
use host::site::activate::Workshop;
use host::site::begin::begin;
use host::site::state_dir::StateDir;
use host::site::swapper::{Settings, Swapper};
use host::site::task::Task;
use host::site::version::Label;
use host::source::watch;
use host::telemetry::log::{self, Format};
use host_http::request_id::ConnectionIds;
use host_wasm::health;
use host_wasm::{Compilers, Engine, compile};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tracing::{error, info, warn};

/// Stack size of a thread that serves, in bytes.
const STACK: usize = 2 << 20;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == compile::ARGUMENT) {
        return compile::run();
    }
    // Before parsing, because the default of --connections depends on the limit.
    limits::raise_descriptors();
    let args = Args::parse();
    let result = match args.command {
        Some(command) => command::run(command, |args| run(args, |args| dev::run(args, serve))),
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
    // A panic is a bug in this program: log its cause even where serving goes on.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        error!(
            cause = health::message(panic.payload()),
            place, "a task or thread of the server has panicked"
        );
    }));
    let mut threads = runtime::Builder::new_multi_thread();
    // Handlers run on these stacks too, so RUST_MIN_STACK must not change their
    // size.
    threads.thread_stack_size(STACK);
    if let Some(count) = args.threads {
        threads.worker_threads(count.into());
    }
    let runtime = threads.enable_all().build().context("cannot start threads")?;
    let result = runtime.block_on(serve(args));
    // Drops the connections that did not end within --drain.
    runtime.shutdown_background();
    result
}

async fn serve(args: Serve) -> anyhow::Result<()> {
    let started = Instant::now();
    let mut hangup = listen_for(SignalKind::hangup())?;
    let (terminate, interrupt) = (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);

    let probes = args.swap.probes()?.into();
    // Started early, because the compiler processes get ready in the background.
    let compilers = Compilers::new(&args.limits.compile());
    let engine = Engine::new(&args.limits.call())?;
    let buffers = Buffers::new(args.limits.buffer_max);
    let places = Arc::new(Semaphore::new(args.limits.connections));
    let calls = engine.clone();
    let workshop = Workshop { engine, compilers, probes };
    let state =
        args.swap.state_dir.as_deref().map(|dir| open_state(dir, args.limits.module_max)).transpose()?;
    let seen = args.module.as_deref().and_then(watch::look);
    let beginning = begin(&workshop, &args.limits, args.module.as_deref(), state.as_ref()).await?;
    let label = beginning.version.label.clone();

    let listeners = listen::bind(&args.listen)?;
    let urls: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let port = listeners.iter().find_map(Listener::port).unwrap_or(0);

    let settings = Settings {
        workshop,
        module_max: args.limits.module_max,
        file: args.module.clone(),
        state,
        require_durable: args.swap.require_durable,
        notice: args.notice.clone(),
    };
    let swapper = Swapper::start(settings, beginning).context("cannot start the swap thread")?;
    if let Some(path) = args.module {
        if !args.swap.no_watch {
            watch::start(&path, seen, args.swap.watch, swapper.clone())
                .with_context(|| format!("cannot watch {} (disable with --no-watch)", path.display()))?;
        }
        // The file may have changed while no server was running.
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
        // The default socket is optional, so the server starts without it.
        None => place::bind(&place::default_path(port))
            .inspect_err(|error| warn!("the server takes no commands: {error:#}"))
            .ok(),
    };
    if let Some(bound) = &control {
        let module_max = args.limits.module_max;
        let (swapper, urls, faults) = (swapper.clone(), urls.clone(), Arc::clone(&faults));
        let uploads = Arc::new(Semaphore::new(memory_bounds::UPLOADS_MAX));
        let gauges = Gauges {
            engine: calls,
            buffers: buffers.clone(),
            places: Arc::clone(&places),
            uploads: Arc::clone(&uploads),
            swapper: swapper.clone(),
            limits: args.limits.clone(),
        };
        let control = Control { swapper, urls, started, module_max, faults, uploads, gauges };
        listener::start(bound.listener.try_clone()?, control).context("cannot start the control thread")?;
    }

    announce(&label, &urls, args.log_format);
    MemoryBounds::new(&args.limits).state();
    let app = App {
        swapper,
        tell_version: !args.swap.no_version_field,
        buffers,
        places,
        limits: args.limits,
        ids: ConnectionIds::new(),
        tell_cause: args.dev,
        notice: args.notice,
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
        () = signals.next() => Err(anyhow!("stopped by a second signal before all requests were answered")),
    }
}

/// Signals that end the server.
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

fn open_state(path: &Path, module_max: usize) -> anyhow::Result<StateDir> {
    StateDir::open(path, module_max)
        .with_context(|| format!("cannot use the state folder {} (--state-dir)", path.display()))
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// Announces the version and the URLs: to people on standard error, to scripts on
/// standard output in one line that begins with `ready`. A closed stream must not
/// keep the server from serving.
fn announce(version: &Label, urls: &[String], format: Format) {
    match format {
        Format::Json => info!(%version, urls = urls.join(" "), "serving"),
        Format::Text => {
            let list: String = urls.iter().map(|url| format!("  {url}\n")).collect();
            let banner =
                format!("host {} serves {version}\n{list}Stop it with Ctrl-C.\n", env!("CARGO_PKG_VERSION"));
            log::tell(&banner);
        }
    }
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "ready {}", urls.join(" ")).and_then(|()| stdout.flush());
}
