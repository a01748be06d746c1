//! `host dev`: builds and serves a crate, and builds it again whenever a file is saved.
//!
//! The server watches a copy of the module, which is renamed into place after a successful build.
//! It does not watch Cargo's own output file, because Cargo writes to that file during the build.

use std::fs;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use clap::{Arg, ValueHint};
use host_wasm::Effort;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{Level, info, warn};

use crate::cli::build::{Built, Outcome};
use crate::cli::dev_https::Https;
use crate::cli::loader::{Loader, NotStarted};
use crate::cli::serve::Serve;
use crate::cli::sources::Sources;
use crate::cli::{build, build_remedy};
use crate::net::listen;
use crate::site::notice::Notice;
use crate::site::remedy::{self, Language};
use crate::source::watch;
use crate::trial::probe::Probe;

/// Flags of the server that `host dev` sets itself.
const DECIDED: [&str; 4] = ["dev", "watch", "no_watch", "state_dir"];

/// Adapts a flag of the server to `host dev`: changes its help or its default, or hides it.
pub(super) fn fit(argument: Arg) -> Arg {
    match argument.get_id().as_str() {
        "module" => argument
            .value_name("CRATE_DIR")
            .value_hint(ValueHint::DirPath)
            .help("Folder of the crate, which contains its Cargo.toml [default: .]"),
        // An author tries things, and a page that fails for now must not keep the others away.
        "gate" => argument.default_value("off"),
        "watch_after" => argument.default_value("0s"),
        id if DECIDED.contains(&id) => argument.hide(true),
        _ => argument,
    }
}

/// Log target of the line that says how much memory the limits allow. The line does not help the
/// author of a crate, so `host dev` hides it.
const MEMORY: &str = "host::admin::memory_bounds";

/// Server for a crate.
#[derive(Clone, Debug, clap::Args)]
pub struct Dev {
    /// Flags of the server.
    #[command(flatten)]
    pub serve: Serve,
    /// Flags for https.
    #[command(flatten)]
    pub https: Https,
}

impl Dev {
    /// Sets `--tls-cert` and `--tls-key` to the file that `--https` will create, so that flags that
    /// need a certificate pass their checks.
    ///
    /// # Errors
    ///
    /// When the user has no folder for the certificate, or `--https-dir` is given without
    /// `--https`.
    pub(super) fn name_certificate(&mut self) -> Result<(), String> {
        if let Some(file) = self.https.certificate()? {
            let tls = &mut self.serve.tls;
            (tls.tls_cert, tls.tls_key) = (vec![file.clone()], vec![file]);
        }
        Ok(())
    }

    /// Hides the log line that says how much memory the limits allow, unless the log shows debug or
    /// trace lines.
    pub(super) fn quieter(mut self) -> Dev {
        let level = &mut self.serve.log_level;
        let logs = |of| level.would_enable(MEMORY, &of);
        if logs(Level::INFO) && !logs(Level::DEBUG) {
            *level = level.clone().with_target(MEMORY, Level::WARN);
        }
        self
    }
}

/// Builds a crate until its module can be served, then lets `serve` run a server for the module,
/// and builds the crate again at every save until the server ends.
///
/// # Errors
///
/// Errors of the server, and one line when there is no crate or Rust is not
/// installed.
pub async fn run<F>(mut args: Serve, https: Https, serve: impl FnOnce(Serve) -> F) -> anyhow::Result<()>
where
    F: Future<Output = anyhow::Result<()>>,
{
    let folder = args.module.take().unwrap_or_else(|| ".".into());
    let folder = fs::canonicalize(&folder).with_context(|| {
        format!(
            "cannot open the folder {}; expected that of a crate, which host new NAME creates",
            folder.display()
        )
    })?;
    // Used only before the server starts: the server listens for both signals itself.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot listen for signals")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for signals")?;
    build::check(&folder).await?;
    listen::try_out(&args.listen)?;
    https.prepare(&args)?;
    let (sources, notice) = (Sources::new(args.log_file.clone())?, Notice::shown());
    args.notice = notice.clone();
    let mut work = Crate { folder, sources, served: Arc::default(), notice };

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

/// Crate that `host dev` builds and serves.
struct Crate {
    folder: PathBuf,
    sources: Sources,
    /// Bytes of the latest module that was written for the server; empty before the first one.
    served: Arc<[u8]>,
    /// Cause of the latest failed build or rejection, shown in the browser.
    notice: Notice,
}

impl Crate {
    /// Builds the crate at every save until a module can be served. Returns the path of the module.
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

    /// Builds the crate at every save. The server swaps each module in, and logs whether it accepts
    /// the module. Returns only with an error: the sources cannot be watched, or the module cannot
    /// be read or written.
    async fn build_at_every_save(&mut self) -> anyhow::Result<()> {
        loop {
            self.sources.changed().await?;
            if self.build().await?.is_none() {
                info!("not rebuilt: requests get these errors until the module builds again");
            }
        }
    }

    /// Builds the crate, and writes the module to the file that the server watches. Returns the
    /// path of the file; [`None`] if the build failed.
    async fn build(&mut self) -> anyhow::Result<Option<PathBuf>> {
        // Watched before the build, so that no change during the build is missed.
        self.sources.watch(&self.folder)?;
        match build::build(&self.folder).await {
            Ok(Outcome::Built(built)) => {
                self.notice.set_build_failure(None);
                self.publish(&built).map(Some)
            }
            Ok(Outcome::Failed(errors)) => {
                let remedy =
                    build_remedy::of_build(&errors).map(|remedy| format!("; {remedy}")).unwrap_or_default();
                warn!("the build failed; its errors are above{remedy}");
                let errors =
                    if errors.is_empty() { "see the terminal of `host dev` for the cause" } else { &errors };
                self.notice.set_build_failure(Some(format!("the build failed{remedy}\n\n{errors}")));
                Ok(None)
            }
            Err(error) => {
                warn!("the build failed: {error:#}");
                self.notice.set_build_failure(Some(format!("the build failed: {error:#}")));
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
            info!("built in {seconds}: the module is unchanged");
            return Ok(place);
        }
        info!("built in {seconds}: {}", ByteSize(module.len() as u64));
        put(&place, &module).with_context(|| format!("cannot write {}", place.display()))?;
        self.served = module.into();
        Ok(place)
    }
}

/// Writes a file atomically, by renaming a temporary file.
fn put(place: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let aside = place.with_extension("tmp");
    fs::write(&aside, bytes)?;
    fs::rename(aside, place)
}

/// Checks that a server would accept a module. A server exits if its first module is rejected, so
/// `host dev` waits for a module that passes before it starts one.
async fn try_out(module: &Arc<[u8]>, args: &Serve, probes: &[Probe]) -> anyhow::Result<()> {
    let loader = Loader::new(&args.limits, &args.values)?;
    let compiled = loader.compile(module, Effort::Quick).await;
    let compiled =
        compiled.map_err(|error| anyhow!("{error}; {}", remedy::of_module(&error, Language::Rust)))?;
    let started = loader.start(compiled).await;
    let started = started.map_err(|NotStarted { cause, remedy }| anyhow!("{cause}; {remedy}"))?;
    for probe in probes {
        probe.send(&started).await?;
    }
    Ok(())
}
