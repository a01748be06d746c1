//! The binary: arguments, configuration, run, exit code.

use std::io::{self, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use clap::Parser;
use host::args::Args;
use host::http::App;
use host::log::{self, Format};
use host::request_id::ConnectionIds;
use host::swap::{Current, Origin, Version};
use host::wasm::Engine;
use host::{listen, server};
use tokio::runtime;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::info;

fn main() -> ExitCode {
    match run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> anyhow::Result<()> {
    log::init(args.log_format, &args.log_level);
    let mut threads = runtime::Builder::new_multi_thread();
    if let Some(count) = args.threads {
        threads.worker_threads(count.into());
    }
    let runtime = threads.enable_all().build().context("cannot start threads")?;
    let result = runtime.block_on(serve(args));
    // What is left are connections that the drain gave up on.
    runtime.shutdown_background();
    result
}

async fn serve(args: Args) -> anyhow::Result<()> {
    let engine = Engine::new(&args.limits)?;
    let origin = args.module.map_or(Origin::Embedded, Origin::Path);
    let version = Version::load(&engine, &args.limits, 1, origin).await?;
    let listeners = listen::bind(&args.listen)?;
    let (terminate, interrupt) = (listen_for(SignalKind::terminate())?, listen_for(SignalKind::interrupt())?);

    announce(&version, &listeners, args.log_format)?;
    let app = App { current: Current::new(version), limits: args.limits, ids: ConnectionIds::new() };
    server::serve(listeners, Arc::new(app), first_of(terminate, interrupt)).await?;
    Ok(())
}

fn listen_for(kind: SignalKind) -> anyhow::Result<Signal> {
    signal(kind).context("cannot listen for signals")
}

async fn first_of(mut one: Signal, mut other: Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}

/// Says what is served and where: to people on standard error, to scripts on
/// standard output, in one line that begins with `ready` and lists the URLs.
fn announce(version: &Version, listeners: &[TcpListener], format: Format) -> anyhow::Result<()> {
    let addresses: Vec<SocketAddr> =
        listeners.iter().map(TcpListener::local_addr).collect::<io::Result<_>>()?;
    let urls: Vec<String> = addresses.iter().map(|address| format!("http://{address}")).collect();
    match format {
        Format::Json => info!(%version, urls = urls.join(" "), "serving"),
        Format::Text => {
            eprintln!("host {} serves {version}", env!("CARGO_PKG_VERSION"));
            for url in &urls {
                eprintln!("  {url}");
            }
            eprintln!("Stop it with Ctrl-C.");
        }
    }
    // Nobody may be there to read it, and that is no reason not to serve.
    let mut stdout = io::stdout().lock();
    let _ = writeln!(stdout, "ready {}", urls.join(" ")).and_then(|()| stdout.flush());
    Ok(())
}
