//! `host dev`: builds a crate, serves it, and does both again at every save.
//!
//! The server is the ordinary one. It watches a copy of the module, which is
//! renamed into its place once a build has succeeded: Cargo writes the file that
//! it calls its own while it builds.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;
use bytesize::ByteSize;
use clap::Arg;
use host_wasm::Effort;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use crate::cli::bench::Bench;
use crate::cli::build::{Built, Outcome};
use crate::cli::serve::Serve;
use crate::cli::sources::Sources;
use crate::cli::{build, remedy};
use crate::site::notice::Notice;
use crate::source::watch;
use crate::trial::probe::Probe;

/// Which crate, and how it is served.
#[derive(Clone, Debug, clap::Args)]
pub struct Dev {
    /// A server, which takes the folder of a crate for its module.
    #[command(flatten)]
    pub serve: Serve,
}

/// What is decided here, and not on the command line.
const DECIDED: [&str; 4] = ["dev", "watch", "no_watch", "state_dir"];

/// Makes the arguments of a server those of this command.
pub(super) fn fit(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "module" => argument
            .value_name("CRATE_DIR")
            .help("The folder of the crate, the one with its Cargo.toml [default: .]"),
        id if DECIDED.contains(&id) => argument.hide(true),
        _ => argument,
    }
}

/// Builds until there is something to serve, and then serves and builds until
/// the server ends.
///
/// # Errors
///
/// Those of the server; and one line when there is no crate, or nothing to
/// build it with.
pub async fn run<F>(mut args: Serve, serve: impl FnOnce(Serve) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let folder = args.module.take().unwrap_or_else(|| ".".into());
    let folder =
        fs::canonicalize(&folder).with_context(|| format!("there is no folder {}", folder.display()))?;
    // A server listens to these two itself.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    build::check(&folder).await?;
    args.notice = Notice::shown();
    let mut work = Crate::new(folder, args.notice.clone())?;

    let module = tokio::select! {
        module = work.first_module(&args) => module?,
        _ = interrupt.recv() => return Ok(()),
        _ = terminate.recv() => return Ok(()),
    };
    args.module = Some(module);
    args.dev = true;
    (args.swap.watch, args.swap.no_watch, args.swap.state_dir) = (watch::Mode::Events, false, None);
    tokio::select! {
        result = serve(args) => result,
        Err(error) = work.build_at_every_save() => Err(error),
    }
}

/// The crate that is worked on.
struct Crate {
    folder: PathBuf,
    sources: Sources,
    /// What is served, since when something is.
    served: Arc<[u8]>,
    /// Shown in the browser instead of the last good module.
    notice: Notice,
}

impl Crate {
    fn new(folder: PathBuf, notice: Notice) -> anyhow::Result<Crate> {
        Ok(Crate { folder, sources: Sources::new()?, served: Arc::default(), notice })
    }

    /// Builds until there is a module that can be served.
    async fn first_module(&mut self, args: &Serve) -> anyhow::Result<PathBuf> {
        let probes = args.swap.probes()?;
        loop {
            info!("building {}", self.folder.display());
            if let Some(module) = self.build().await? {
                match try_out(&self.served, args, &probes).await {
                    Ok(()) => return Ok(module),
                    Err(error) => warn!("{} cannot be served: {error:#}", self.folder.display()),
                }
            }
            info!("nothing is served yet; waiting for a file to be saved");
            self.sources.changed().await?;
        }
    }

    /// Goes on until there is no watching any more. The server says what it
    /// makes of each module.
    async fn build_at_every_save(&mut self) -> anyhow::Result<()> {
        loop {
            self.sources.changed().await?;
            if self.build().await?.is_none() {
                info!("the last good module goes on serving");
            }
        }
    }

    /// Builds, and puts the module where the server finds it.
    async fn build(&mut self) -> anyhow::Result<Option<PathBuf>> {
        // Before the build, so that no change falls between the two.
        self.sources.watch(&self.folder)?;
        match build::build(&self.folder).await {
            Ok(Outcome::Built(built)) => {
                self.notice.built();
                self.publish(&built).map(Some)
            }
            Ok(Outcome::Failed(errors)) => {
                warn!("not built; the errors stand above");
                let errors = if errors.is_empty() { "the terminal of `host dev` shows why" } else { &errors };
                self.notice.build_failed(format!("the build failed\n\n{errors}"));
                Ok(None)
            }
            Err(error) => {
                warn!("not built: {error:#}");
                self.notice.build_failed(format!("the build failed: {error:#}"));
                Ok(None)
            }
        }
    }

    fn publish(&mut self, built: &Built) -> anyhow::Result<PathBuf> {
        for folder in &built.crates {
            self.sources.watch(folder)?;
        }
        let module = fs::read(&built.module);
        let module = module.with_context(|| format!("cannot read {}", built.module.display()))?;
        let seconds = format!("{:.1} s", built.time.as_secs_f64());
        let place = built.module.with_extension("served.wasm");
        if *module == *self.served {
            info!("built in {seconds}: the module is the same as before");
            return Ok(place);
        }
        info!("built in {seconds}: {}", ByteSize(module.len() as u64));
        put(&place, &module).with_context(|| format!("cannot write {}", place.display()))?;
        self.served = module.into();
        Ok(place)
    }
}

/// Puts a file in its place whole.
fn put(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let aside = place.with_extension("tmp");
    fs::write(&aside, bytes)?;
    fs::rename(aside, place)
}

/// Tries out whether a server would take a module: with one that it does not take
/// the server would end, and here it is to be mended.
async fn try_out(module: &Arc<[u8]>, args: &Serve, probes: &[Probe]) -> anyhow::Result<()> {
    let bench = Bench::new(&args.limits)?;
    let compiled = bench.compile(module, Effort::Quick).await;
    let compiled = compiled.map_err(|error| anyhow::anyhow!("{error}; {}", remedy::of_module(&error)))?;
    let started = compiled.start().await.context("it does not start")?;
    for probe in probes {
        probe.send(&started).await?;
    }
    Ok(())
}
