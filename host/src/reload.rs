//! Reloads the configuration of a running server. An invalid configuration changes nothing. The
//! result lists the settings that need a restart.

use std::ffi::OsString;
use std::fs::File;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::{info, warn};

use crate::acme::change;
use crate::admin::protocol::{Reloaded, SiteOutcome};
use crate::builder::{Foundation, WatchingBySite};
use crate::cli::config;
use crate::cli::parse::{self, Stop};
use crate::cli::serve::{Serve, SitePlan};
use crate::config::live::Changes;
use crate::config::site::{DEFAULT, Source};
use crate::events::event::Event;
use crate::files::stamp::{self, FileStamp};
use crate::serve::app::App;
use crate::site::by::By;
use crate::site::demand::Demand;
use crate::site::directory::{Directory, Site};
use crate::site::outcome::{HANDED_OVER, Outcome};
use crate::site::reload::{NotCommitted, Prepared};
use crate::site::swap::SUPERSEDED;
use crate::source::watches::Watching;
use crate::telemetry::{log, service};

/// Maximum number of attempts to commit the change of a site. An attempt fails if another version
/// becomes current meanwhile.
const ATTEMPTS: usize = 10;

/// Reloads the configuration of a running server.
pub struct Reloader {
    app: Arc<App>,
    foundation: Arc<Foundation>,
    /// Settings that the server currently uses, and where they come from.
    source: Mutex<Source>,
    /// Watches of the module files; [`None`] after an upgrade, when another process has taken over.
    /// Locked during a reload, so that only one reload runs at a time.
    watching: tokio::sync::Mutex<Option<WatchingBySite>>,
}

/// Prepared change of all sites, which can be committed or abandoned.
struct Change {
    /// Sites that are in both the old and the new configuration, in the order of the new one, each
    /// with its prepared change.
    kept: Vec<(NewSite, Arc<Site>, Prepared)>,
    /// Sites that are only in the new configuration, each with the watch of its module file.
    added: Vec<(Arc<Site>, Option<Watching>)>,
    removed: Vec<Arc<Site>>,
}

/// Site in the new configuration, with its settings.
struct NewSite {
    plan: SitePlan,
    demand: Demand,
    seen: Option<FileStamp>,
}

impl Reloader {
    /// Creates the reloader of a server that was started with the flags `args`.
    pub fn new(args: &Serve, app: Arc<App>, foundation: Foundation, watching: WatchingBySite) -> Reloader {
        let foundation = Arc::new(foundation);
        let (source, watching) = (Mutex::new(args.source.clone()), tokio::sync::Mutex::new(Some(watching)));
        Reloader { app, foundation, source, watching }
    }

    /// Waits for a reload in progress, and blocks further reloads until the returned guard is
    /// dropped. The guard gives access to the watches of the module files; it holds [`None`] after
    /// an upgrade.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, Option<WatchingBySite>> {
        self.watching.lock().await
    }

    /// Returns the lock file of the state folder; [`None`] if the server has no state folder.
    pub fn held_lock(&self) -> Option<&File> {
        self.foundation.held_lock()
    }

    /// Handles SIGHUP: reloads the configuration. Under `host dev`, which has no configuration
    /// file, reads the module file again instead.
    pub async fn hang_up(&self) {
        if self.source().line.is_empty() {
            self.app.sites.get().all().iter().for_each(|site| site.swapper.read_file(By::Hangup));
        } else {
            // The outcome is logged.
            let _ = self.reload_by(By::Hangup).await;
        }
    }

    /// Returns the settings that the server currently uses, and where they come from.
    pub fn running(&self) -> Source {
        self.source().clone()
    }

    /// Reads the configuration again, and applies it if all of it is valid; otherwise nothing
    /// changes. The result lists sites that were not changed because of another change at the same
    /// time. `by` says who ordered the reload.
    ///
    /// # Errors
    ///
    /// One line for each mistake.
    pub async fn reload_by(&self, by: By) -> Result<Reloaded, String> {
        let mut watching = self.watching.lock().await;
        let watching = watching.as_mut().ok_or(HANDED_OVER)?;
        service::reloading();
        let reloaded = self.load(watching, by).await;
        service::reloaded(reloaded.is_ok());
        match &reloaded {
            Ok(Reloaded { applied, needs_restart, failed, .. }) => {
                self.app.events.tell(&Event::reloaded(applied, needs_restart, failed, by));
                let (applied, needs_restart) = (applied.join(" "), needs_restart.join(" "));
                info!(applied, needs_restart, %by, "configuration reloaded");
                failed.iter().for_each(|cause| warn!(cause, %by, "a site was not changed by the reload"));
            }
            Err(causes) => {
                self.app.events.tell(&Event::not_reloaded(causes, by));
                let what = "configuration not reloaded: nothing has changed";
                causes.lines().for_each(|cause| warn!(cause, %by, "{what}"));
            }
        }
        reloaded
    }

    async fn load(&self, watching: &mut WatchingBySite, by: By) -> Result<Reloaded, String> {
        let before = self.source().clone();
        if before.line.is_empty() {
            return Err(
                "host dev takes its settings from the command line; there is nothing to reload".into()
            );
        }
        // On a thread for blocking work: a file may be on a file system that does not answer.
        let line = before.line.clone();
        let read = tokio::task::spawn_blocking(move || read(&line)).await;
        let (args, new) = read.map_err(|failed| format!("the server panicked: {failed}"))??;
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
        let Changes { applied, needs_restart } = Changes::between(&before, &args.source);

        // The only parts that can fail come first.
        let tls = change::prepare(self.app.tls.clone(), self.app.acme.clone(), args.tls()).await?;
        let change = self.prepare(new, by).await?;
        let (sites, failed) = self.commit(change, watching, by).await?;
        tls.publish();
        let mut settings = args.settings();
        // Not in `LIVE`: the choice of connections to close is based on the first value.
        settings.limits.rate_window = self.app.limits.connection.rate_window;
        self.app.settings.set(settings);
        if args.set_log() {
            self.app.events.tell(&Event::log_level(&log::levels(), by));
        }
        let names: Vec<_> = failed.iter().map(|(name, _)| &**name).collect();
        self.source().reloaded(args.source.clone(), &names);
        let failed = failed.into_iter().map(|(_, cause)| cause).collect();
        args.source.warnings.iter().for_each(|warning| warn!("{warning}"));
        Ok(Reloaded { applied, needs_restart, sites, failed })
    }

    /// Prepares the change of all sites. If one fails, abandons all of them, so that nothing
    /// changes.
    async fn prepare(&self, new: Vec<NewSite>, by: By) -> Result<Change, String> {
        let directory = self.app.sites.get();
        let is_gone = |site: &&Arc<Site>| !new.iter().any(|new| new.plan.name == site.name);
        let removed = directory.all().iter().filter(is_gone).cloned().collect();
        let mut change = Change { kept: Vec::new(), added: Vec::new(), removed };
        let current = directory.all().to_vec();
        drop(directory);
        for new in new {
            let name = Arc::clone(&new.plan.name);
            let prepared = self.prepare_site(new, &current, &mut change, by).await;
            if let Err(cause) = prepared {
                change.abandon("the reload failed for another site");
                return Err(of_site(&name, cause));
            }
        }
        if let Some((_, site, _)) = change.kept.iter().find(|(.., prepared)| !prepared.is_newest()) {
            let cause = of_site(&site.name, SUPERSEDED.into());
            change.abandon(SUPERSEDED);
            return Err(cause);
        }
        Ok(change)
    }

    async fn prepare_site(
        &self,
        new: NewSite,
        current: &[Arc<Site>],
        change: &mut Change,
        by: By,
    ) -> Result<(), String> {
        match current.iter().find(|site| site.name == new.plan.name) {
            Some(site) => {
                let prepared = site.swapper.prepare_reload(new.demand.clone(), by).await?;
                change.kept.push((new, Arc::clone(site), prepared));
            }
            None => {
                let (site, watching) =
                    self.foundation.found(new.plan).await.map_err(|error| format!("{error:#}"))?;
                change.added.push((Arc::new(site), watching));
            }
        }
        Ok(())
    }

    /// Commits the change of all sites. Returns the outcomes, and the sites that could not be
    /// changed, each with the cause (for example, that a newer change was ordered after the
    /// preparation).
    ///
    /// # Errors
    ///
    /// One line for each site, if none of the sites in `kept` could be changed. In this case, no
    /// site is added or removed either.
    async fn commit(
        &self,
        change: Change,
        watching: &mut WatchingBySite,
        by: By,
    ) -> Result<(Vec<SiteOutcome>, Vec<(Arc<str>, String)>), String> {
        let Change { kept, added, removed } = change;
        let (mut sites, mut outcomes, mut failures) = (Vec::new(), Vec::new(), Vec::new());
        for (NewSite { plan: SitePlan { name, place, args }, demand, seen }, site, prepared) in kept {
            match commit(&site, prepared, &demand, by).await {
                Ok(outcome) => {
                    outcomes.extend(outcome.map(|outcome| SiteOutcome { site: name.to_string(), outcome }));
                    self.watch_again(watching, &name, &args, seen, &site);
                    sites.push(Arc::new(Site { name, place, ..Site::clone(&site) }));
                }
                Err(cause) => {
                    let cause = of_site(&name, cause);
                    failures.push((name, cause));
                    sites.push(site);
                }
            }
        }
        if !failures.is_empty() && sites.len() == failures.len() {
            added.iter().for_each(|(site, _)| site.swapper.close());
            return Err(failures.into_iter().map(|(_, cause)| cause).collect::<Vec<_>>().join("\n"));
        }
        let mut events = Vec::new();
        for (site, watch) in added {
            watching.extend(watch.map(|watch| (Arc::clone(&site.name), watch)));
            let version = site.swapper.current().label.number;
            info!(site = &*site.name, version, %by, "site added");
            events.push(Event::site_added(&site.name, version, by));
            sites.push(site);
        }
        self.app.sites.set(Directory::new(sites));
        // Only now can a request reach the new sites.
        events.iter().for_each(|event| self.app.events.tell(event));
        for site in removed {
            watching.remove(&site.name);
            site.swapper.close();
            info!(site = &*site.name, %by, "site removed; requests that it is answering go on");
            self.app.events.tell(&Event::site_removed(&site.name, by));
        }
        Ok((outcomes, failures))
    }

    /// Makes the watch of a site's module file match the new configuration: starts, replaces or
    /// ends it. Keeps the existing watch if its path and mode are unchanged.
    fn watch_again(
        &self,
        watching: &mut WatchingBySite,
        name: &Arc<str>,
        args: &Serve,
        seen: Option<FileStamp>,
        site: &Site,
    ) {
        let is_same = watching
            .get(name)
            .is_some_and(|watching| watching.is_of(args.module.as_deref(), args.swap.watch));
        let is_wanted = args.module.is_some() && !args.swap.no_watch;
        if is_same && is_wanted {
            return;
        }
        watching.remove(name);
        let watch = self.foundation.watch(args, seen, &site.swapper).unwrap_or_else(|error| {
            warn!("{error:#}");
            None
        });
        watching.extend(watch.map(|watch| (Arc::clone(name), watch)));
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Change {
    fn abandon(self, cause: &str) {
        self.kept.into_iter().for_each(|(.., prepared)| prepared.abandon(cause));
        self.added.iter().for_each(|(site, _)| site.swapper.close());
    }
}

/// Commits the change of one site. If another version was published meanwhile, prepares the change
/// again; gives up after [`ATTEMPTS`] attempts.
async fn commit(
    site: &Site,
    mut prepared: Prepared,
    demand: &Demand,
    by: By,
) -> Result<Option<Outcome>, String> {
    for _ in 0..ATTEMPTS {
        match site.swapper.commit(prepared).await {
            Ok(outcome) => return Ok(outcome),
            Err(NotCommitted::Failed(cause)) => return Err(cause),
            Err(NotCommitted::Outdated) => {
                prepared = site.swapper.prepare_reload(demand.clone(), by).await?;
            }
        }
    }
    Err(SUPERSEDED.into())
}

/// Puts the name of the site in front of a message. Returns the message unchanged for the default
/// site, or if the message already names a site.
fn of_site(name: &str, cause: String) -> String {
    if name == DEFAULT || cause.starts_with("site ") { cause } else { format!("site {name}: {cause}") }
}

/// Parses the command line `line` of the server again, and reads the configuration file and the
/// files that the configuration names.
///
/// # Errors
///
/// One line for each mistake.
fn read(line: &[OsString]) -> Result<(Serve, Vec<NewSite>), String> {
    let args = match parse::parse(line) {
        Ok(args) => args.serve,
        Err(Stop::Wrong(mistakes)) => return Err(mistakes),
        Err(Stop::Shown(_)) => return Err("the command line of the server shows a text".into()),
    };
    let mistakes = config::mistakes(&args, true);
    if !mistakes.is_empty() {
        return Err(mistakes.join("\n"));
    }
    let new = |plan: SitePlan| {
        let seen = plan.args.module.as_deref().and_then(stamp::look);
        let demand = plan.args.demand().map_err(|error| of_site(&plan.name, format!("{error:#}")))?;
        Ok::<_, String>(NewSite { plan, demand, seen })
    };
    let new = args.plans().into_iter().map(new).collect::<Result<_, _>>()?;
    Ok((args, new))
}
