//! Reloads the configuration of a running server. The new one is checked as a whole, and
//! takes effect as a whole or not at all. Settings that need a restart are listed.

use std::sync::Arc;

use tokio::sync::Mutex;
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
use crate::source::watch::{self, Watching};
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
    running: Mutex<Running>,
}

/// What the server runs with.
struct Running {
    source: Source,
    watching: Option<Watching>,
}

impl Reloader {
    /// Creates the reloader of a server that was started with these flags.
    pub fn new(args: &Serve, app: Arc<App>, watching: Option<Watching>) -> Reloader {
        Reloader { app, running: Mutex::new(Running { source: args.source.clone(), watching }) }
    }

    /// Does what SIGHUP asks for: reloads the configuration, or without a configuration file
    /// only reads the module file again.
    pub async fn hang_up(&self) {
        let running = self.running.lock().await;
        let source = running.source.clone();
        drop(running);
        // `host dev` has no configuration.
        let is_configured = || {
            source.file.is_some()
                || parse::parse(&source.line).map_or(true, |args| args.serve.source.file.is_some())
        };
        if !source.line.is_empty() && is_configured() {
            // The outcome is logged.
            let _ = self.reload_by(By::Hangup).await;
        } else {
            self.app.swapper.read_file(By::Hangup);
        }
    }

    async fn reload_by(&self, by: By) -> Result<Reloaded, String> {
        // Reloads wait for each other.
        let mut running = self.running.lock().await;
        let reloaded = self.load(&mut running, by).await;
        match &reloaded {
            Ok(Reloaded { applied, needs_restart, .. }) => {
                let (applied, needs_restart) = (applied.join(" "), needs_restart.join(" "));
                info!(applied, needs_restart, %by, "configuration reloaded");
            }
            Err(causes) => {
                causes
                    .lines()
                    .for_each(|cause| warn!(cause, %by, "configuration not reloaded: nothing has changed"));
            }
        }
        reloaded
    }

    async fn load(&self, running: &mut Running, by: By) -> Result<Reloaded, String> {
        if running.source.line.is_empty() {
            return Err(
                "host dev takes its settings from the command line; there is nothing to reload".into()
            );
        }
        let args = match parse::parse(&running.source.line) {
            Ok(args) => args.serve,
            Err(Stop::Wrong(mistakes)) => return Err(mistakes),
            Err(Stop::Shown(_)) => return Err("the command line of the server shows a text".into()),
        };
        let mistakes = config::mistakes(&args);
        if !mistakes.is_empty() {
            return Err(mistakes.join("\n"));
        }
        let (applied, needs_restart) = changes(&running.source.settings, &args.source.settings);

        // The only part that can fail comes first.
        let seen = args.module.as_deref().and_then(watch::look);
        let demand = args.demand().map_err(|error| format!("{error:#}"))?;
        let handler = self.app.swapper.reload(demand, by).await?;
        let mut settings = args.settings();
        // Not in `LIVE`: the choice of connections to close is based on the first value.
        settings.limits.rate_window = self.app.limits.connection.rate_window;
        self.app.settings.set(settings);
        log::set_levels(&args.log_level);
        if ["module", "watch", "no_watch"]
            .iter()
            .any(|id| applied.iter().any(|key| key == &id.replace('_', "-")))
        {
            running.watching = match builder::watch(&args, seen, &self.app.swapper) {
                Ok(watching) => watching,
                Err(error) => {
                    warn!("{error:#}");
                    None
                }
            };
        }
        for id in LIVE {
            match args.source.settings.get(id) {
                Some(setting) => drop(running.source.settings.insert(id.into(), setting.clone())),
                None => drop(running.source.settings.remove(id)),
            }
        }
        running.source.file = args.source.file;
        args.source.warnings.iter().for_each(|warning| warn!("{warning}"));
        Ok(Reloaded { applied, needs_restart, handler })
    }
}

impl Configuration for Arc<Reloader> {
    async fn reload(&self, by: By) -> Result<Reloaded, String> {
        self.reload_by(by).await
    }

    async fn settings(&self) -> Vec<ShownSetting> {
        config::entries(&self.running.lock().await.source.settings)
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
