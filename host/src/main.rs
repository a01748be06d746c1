//! Program `host`: parses the command line, loads the configuration, runs the server or a command,
//! and sets the exit code.

use std::io::{self, Write};
use std::panic;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};
use host::admin::api::Api;
use host::admin::listener;
use host::admin::memory_bounds::{MemoryBounds, UPLOADS_MAX};
use host::admin::proof::DIFFS_MAX;
use host::builder::{self, Foundation, Loaded};
use host::cli::command;
use host::cli::dev::{self, Dev};
use host::cli::parse::{self, Stop};
use host::cli::serve::Serve;
use host::config::site::DEFAULT;
use host::config::value;
use host::doors;
use host::net::listen;
use host::reload::Reloader;
use host::serve::server::{self, End};
use host::site::by::By;
use host::site::version::{EMBEDDED, Label};
use host::telemetry::log::{self, Format};
use host::telemetry::log_output::{self, Output};
use host::telemetry::service;
use host::upgrade::handover::Upgrader;
use host::upgrade::takeover::{self, Takeover};
use host_wasm::{Compilers, compile, health};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{Semaphore, oneshot};
use tokio::time::timeout;
use tracing::{error, info, warn};

/// Stack size of each worker thread, in bytes. Connections and handlers run on these threads.
const STACK: usize = 2 << 20;

/// Maximum number of sites that the startup banner names.
const SITES_SHOWN: usize = 10;

/// Maximum time to wait on exit until the last responses of the API are sent.
const LAST_REPLIES: Duration = Duration::from_millis(200);

/// Exit code for a command line that cannot be parsed.
const WRONG_COMMAND_LINE: u8 = 2;

fn main() -> ExitCode {
    if std::env::args_os().nth(1).is_some_and(|argument| argument == compile::ARGUMENT) {
        return compile::run(EMBEDDED);
    }
    // Comes before parsing, because the default of --connections depends on the limit.
    value::raise_descriptors();
    let takeover = match takeover::receive() {
        Ok(takeover) => takeover,
        Err(error) => return fail(&format!("{error:#}"), ExitCode::FAILURE),
    };
    let old = takeover.as_ref().and_then(Takeover::connection);
    let fail = |message: &str, code| {
        // The process before this one goes on, and says why.
        if let Some(old) = &old {
            takeover::failed(old, message);
        }
        fail(message, code)
    };
    let args = match parse::parse(&std::env::args_os().collect::<Vec<_>>()) {
        Ok(args) => args,
        Err(Stop::Shown(text)) => {
            let _ = io::stdout().write_all(text.as_bytes());
            return ExitCode::SUCCESS;
        }
        Err(Stop::Wrong(message)) => return fail(&message, ExitCode::from(WRONG_COMMAND_LINE)),
    };
    let result = match args.command {
        Some(command) => {
            let served = |args| serve(args, None);
            command::run(command, |Dev { serve, https }| run(serve, |args| dev::run(args, https, served)))
        }
        None => run(args.serve, |args| serve(args, takeover)).map(|()| ExitCode::SUCCESS),
    };
    result.unwrap_or_else(|error| fail(&format!("{error:#}"), ExitCode::FAILURE))
}

/// Prints each line of a message as an error, and returns `code`.
fn fail(message: &str, code: ExitCode) -> ExitCode {
    for line in message.lines() {
        let _ = writeln!(io::stderr(), "error: {line}");
    }
    code
}

fn run<F>(args: Serve, serve: impl FnOnce(Serve) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let _log = log::init(args.log_format, &args.log_level, Output::new(args.log_file.as_deref())?);
    args.set_log();
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
        threads.worker_threads(count);
    }
    let runtime = threads.enable_all().build().context("cannot start threads")?;
    let result = runtime.block_on(serve(args));
    // Drops the connections that did not end within --drain.
    runtime.shutdown_background();
    result
}

async fn serve(args: Serve, mut takeover: Option<Takeover>) -> anyhow::Result<()> {
    let started = Instant::now();
    if let Some(file) = &args.source.file {
        let (settings, sites) = (args.source.keys, args.sites.len());
        info!(file = %file.display(), settings, sites, "configuration read");
    }
    if let Some(takeover) = &takeover {
        takeover.expect_files(args.source.file.as_deref(), args.swap.state_dir.as_deref())?;
    }
    args.source.warnings.iter().chain(&args.doubts()).for_each(|warning| warn!("{warning}"));
    let (mut hangup, mut rotate) =
        (listen_for(SignalKind::hangup())?, listen_for(SignalKind::user_defined1())?);
    let mut upgrade = listen_for(SignalKind::user_defined2())?;
    let (mut terminate, mut interrupt) =
        (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);

    // Started first, because the compiler processes get ready in the background.
    let compilers = Compilers::new(&args.limits.for_compilers());
    let foundation = Foundation::new(&args, compilers)?;
    let mut loaded = Vec::new();
    for plan in args.plans() {
        let handed = takeover.as_mut().and_then(|takeover| takeover.sites.remove(&*plan.name));
        loaded.push(foundation.load(plan, handed).await?);
    }
    let engine = foundation.engine().clone();
    let first: Vec<_> =
        loaded.iter().map(Loaded::first).map(|(name, label)| (name.to_owned(), label.clone())).collect();
    let listeners = listen::bind(&args.listen, args.tls.is_on())?;
    let urls: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let (mut doors, held) = doors::bind(&args, &listeners)?;
    if let Some(takeover) = &takeover {
        takeover.ready()?;
    }
    let (app, watching) = builder::start(&args, &foundation, loaded)?;
    let app = Arc::new(app);

    let reloader = Arc::new(Reloader::new(&args, Arc::clone(&app), foundation, watching));
    let for_signals = Arc::clone(&reloader);
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            for_signals.hang_up().await;
        }
    });
    tokio::spawn(async move {
        while rotate.recv().await.is_some() {
            log_output::reopen();
            info!("the log goes on in a file that was opened again (--log-file)");
        }
    });
    let upgrader = Arc::new(Upgrader::new(Arc::clone(&app), reloader));
    let answering = Arc::new(Semaphore::new(listener::PERMITS));
    let control = Api {
        app: Arc::clone(&app),
        engine,
        urls: urls.clone(),
        started,
        control: doors.control.clone(),
        admin: doors.admin.clone(),
        uploads: Semaphore::new(UPLOADS_MAX),
        diffs: Semaphore::new(DIFFS_MAX),
        connections: Arc::clone(&answering),
        lifecycle: Arc::clone(&upgrader),
    };
    if let Some(takeover) = &takeover {
        takeover.serving()?;
        app.sites.get().all().iter().for_each(|site| site.swapper.go_on());
    }
    doors.open(control)?;
    upgrader.hold(held);
    app.acme.iter().for_each(|acme| acme.start(&listeners));
    announce(&first, &urls, &doors.control, &doors.admin, args.log_format);
    let of_sites: Vec<_> = app.sites.get().all().iter().map(|site| Arc::clone(&site.limits)).collect();
    let of_sites: Vec<_> = of_sites.iter().map(|limits| &**limits).collect();
    let journals = app.sites.get().all().iter().map(|site| site.journal.bytes().1 as u64).sum();
    let is_tls = args.tls.is_on();
    MemoryBounds::new(&args.limits, &of_sites, journals, (is_tls, args.h2c || is_tls && !args.tls.no_h2))
        .state();
    if let Some(warning) = value::lack_of_descriptors(args.limits.server.connections) {
        warn!("{warning}");
    }

    tokio::spawn(service::watchdog());
    let for_signals = Arc::clone(&upgrader);
    tokio::spawn(async move {
        while upgrade.recv().await.is_some() {
            // The outcome is logged.
            let _ = for_signals.upgrade(By::Upgrade).await;
        }
    });
    let mut stop_signal = async || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let (stop, stopped) = oneshot::channel();
    let serving = server::serve(listeners, Arc::clone(&app), async { stopped.await.unwrap_or(End::Stopped) });
    let second_signal = async {
        let end = tokio::select! {
            () = stop_signal() => End::Stopped,
            process = upgrader.handed_over() => End::HandedOver(process),
        };
        upgrader.close();
        app.acme.iter().for_each(|acme| acme.stop());
        let _ = stop.send(end);
        stop_signal().await;
    };
    let result = tokio::select! {
        () = serving => Ok(()),
        () = second_signal => Err(anyhow!("stopped by a second signal before all requests were answered")),
    };
    if result.is_ok() {
        app.events.end().await;
        // The client that ordered an upgrade gets its reply.
        let all = answering.acquire_many(listener::PERMITS as u32);
        let _ = timeout(LAST_REPLIES, all).await;
    }
    if let Some(recorder) = &app.recorder {
        recorder.flush();
    }
    result
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

/// Announces that the server is ready: to people with a banner or log lines, to scripts with one
/// line on standard output that begins with `ready`, and to systemd. Ignores a closed standard
/// output, so that the server keeps running.
fn announce(sites: &[(String, Label)], urls: &[String], control: &str, admin: &[String], format: Format) {
    match format {
        Format::Json => {
            let (urls, admin) = (urls.join(" "), admin.join(" "));
            for (site, version) in sites {
                let site = (site != DEFAULT).then_some(site);
                info!(site, version = version.number, module = %version, urls, control, admin, "serving");
            }
        }
        Format::Text => {
            let list: String = urls.iter().map(|url| format!("  {url}\n")).collect();
            let admin: String = admin.iter().map(|url| format!("API: {url}\n")).collect();
            let of_site = |(site, version): &(String, Label)| match site.as_str() {
                DEFAULT => version.to_string(),
                name => format!("site {name}, {version}"),
            };
            let mut shown: Vec<_> = sites.iter().take(SITES_SHOWN).map(of_site).collect();
            if let more @ 1.. = sites.len().saturating_sub(SITES_SHOWN) {
                shown.push(format!("{more} more sites (host status lists them)"));
            }
            let banner = format!(
                "host {} serves {}\n{list}Control socket: {control}\n{admin}Stop it with Ctrl-C.\n",
                env!("CARGO_PKG_VERSION"),
                shown.join("\n  and "),
            );
            log::tell(&banner);
        }
    }
    let count = if sites.len() == 1 { "one site".into() } else { format!("{} sites", sites.len()) };
    service::ready(&format!("serves {count} at {}", urls.join(" ")));
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "ready {}", urls.join(" ")).and_then(|()| stdout.flush());
}
