//! Reloads the configuration of a running server. The new one is checked as a whole, and
//! takes effect as a whole or not at all. Settings that need a restart are listed.

use std::ffi::OsString;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::admin::api::Configuration;
use crate::admin::protocol::{Reloaded, ShownSetting};
use crate::builder;
use crate::cli::config;
use crate::cli::parse::{self, Stop};
use crate::cli::serve::Serve;
use crate::config::setting::{Settings, Source};
use crate::serve::app::App;
use crate::site::by::By;
use crate::site::shared::Demand;
use crate::source::watch::{self, FileStamp, Watching};
use crate::telemetry::log;

/// Flags that a reload changes, by their id. The others need a restart.
#[rustfmt::skip]
pub const LIVE: [&str; 23] = [
    "module", "watch", "no_watch", "probe", "probe_file", "no_probe", "log_level", "trust_forwarded", "dev",
    "no_version_field", "drain", "target_max", "head_max", "fields_max", "body_max", "head_timeout", "idle_timeout",
    "body_timeout", "body_time_max", "body_rate_min", "write_timeout", "write_rate_min", "connection_requests",
];

/// Reloads the configuration.
pub struct Reloader {
    app: Arc<App>,
    /// What the server runs with.
    source: Mutex<Source>,
    /// Watch of the module file. Locked during a reload, so that reloads wait for each other.
    watching: tokio::sync::Mutex<Option<Watching>>,
}

impl Reloader {
    /// Creates the reloader of a server that was started with these flags.
    pub fn new(args: &Serve, app: Arc<App>, watching: Option<Watching>) -> Reloader {
        Reloader { app, source: Mutex::new(args.source.clone()), watching: tokio::sync::Mutex::new(watching) }
    }

    /// Does what SIGHUP asks for: reloads the configuration, and under `host dev` reads the
    /// module file again.
    pub async fn hang_up(&self) {
        if self.source().line.is_empty() {
            self.app.swapper.read_file(By::Hangup);
        } else {
            // The outcome is logged.
            let _ = self.reload_by(By::Hangup).await;
        }
    }

    async fn reload_by(&self, by: By) -> Result<Reloaded, String> {
        let mut watching = self.watching.lock().await;
        let reloaded = self.load(&mut watching, by).await;
        match &reloaded {
            Ok(Reloaded { applied, needs_restart, .. }) => {
                let (applied, needs_restart) = (applied.join(" "), needs_restart.join(" "));
                info!(applied, needs_restart, %by, "configuration reloaded");
            }
            Err(causes) => {
                let what = "configuration not reloaded: nothing has changed";
                causes.lines().for_each(|cause| warn!(cause, %by, "{what}"));
            }
        }
        reloaded
    }

    async fn load(&self, watching: &mut Option<Watching>, by: By) -> Result<Reloaded, String> {
        let before = self.source().clone();
        if before.line.is_empty() {
            return Err(
                "host dev takes its settings from the command line; there is nothing to reload".into()
            );
        }
        // On a thread for blocking work: a file may be on a file system that does not answer.
        let line = before.line.clone();
        let read = tokio::task::spawn_blocking(move || read(&line)).await;
        let (args, demand, seen) = read.map_err(|failed| format!("the server panicked: {failed}"))??;
        if let Some(file) = &before.file
            && args.source.file.as_ref() != Some(file)
        {
            let now = args.source.file.as_ref().map_or("none".into(), |path| path.display().to_string());
            return Err(format!(
                "the configuration file {} is gone, from which this server was configured (found: {now}); put it back, \
                 or restart the server",
                file.display()
            ));
        }
        let (applied, needs_restart) = changes(&before.settings, &args.source.settings);

        // The only part that can fail comes first.
        let handler = self.app.swapper.reload(demand, by).await?;
        let mut settings = args.settings();
        // Not in `LIVE`: the choice of connections to close is based on the first value.
        settings.limits.rate_window = self.app.limits.connection.rate_window;
        self.app.settings.set(settings);
        log::set_levels(&args.log_level);
        if ["module", "watch", "no-watch"].iter().any(|key| applied.iter().any(|applied| applied == key)) {
            *watching = builder::watch(&args, seen, &self.app.swapper).unwrap_or_else(|error| {
                warn!("{error:#}");
                None
            });
        }
        let mut source = self.source();
        for id in LIVE {
            match args.source.settings.get(id) {
                Some(setting) => drop(source.settings.insert(id.into(), setting.clone())),
                None => drop(source.settings.remove(id)),
            }
        }
        source.file = args.source.file;
        args.source.warnings.iter().for_each(|warning| warn!("{warning}"));
        Ok(Reloaded { applied, needs_restart, handler })
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the configuration again, and the files that it names. Also returns the stamp of the
/// module file.
fn read(line: &[OsString]) -> Result<(Serve, Demand, Option<FileStamp>), String> {
    let args = match parse::parse(line) {
        Ok(args) => args.serve,
        Err(Stop::Wrong(mistakes)) => return Err(mistakes),
        Err(Stop::Shown(_)) => return Err("the command line of the server shows a text".into()),
    };
    let mistakes = config::mistakes(&args, true);
    if !mistakes.is_empty() {
        return Err(mistakes.join("\n"));
    }
    let seen = args.module.as_deref().and_then(watch::look);
    let demand = args.demand().map_err(|error| format!("{error:#}"))?;
    Ok((args, demand, seen))
}

impl Configuration for Arc<Reloader> {
    async fn reload(&self, by: By) -> Result<Reloaded, String> {
        self.reload_by(by).await
    }

    async fn settings(&self) -> Vec<ShownSetting> {
        let settings = self.source().settings.clone();
        config::entries(&settings)
    }
}

/// Returns the keys whose values differ: those that a reload changes, and those that need a
/// restart.
fn changes(before: &Settings, after: &Settings) -> (Vec<String>, Vec<String>) {
    let given = |settings: &Settings, id: &str| settings.get(id).map(|setting| setting.given.clone());
    let mut ids: Vec<_> = before.keys().chain(after.keys()).collect();
    ids.sort();
    ids.dedup();
    let changed = ids.into_iter().filter(|id| given(before, id) != given(after, id));
    let (live, rest): (Vec<_>, Vec<_>) = changed.partition(|id| LIVE.contains(&id.as_str()));
    let keys = |ids: Vec<&String>| ids.into_iter().map(|id| id.replace('_', "-")).collect();
    (keys(live), keys(rest))
}
