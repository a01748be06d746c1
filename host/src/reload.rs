//! Reloads the configuration of a running server. The new configuration is checked as a whole, and
//! takes effect as a whole or not at all. Settings that need a restart are listed.

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

/// Maximum number of attempts to commit the change of a site while other swaps are published.
const ATTEMPTS: usize = 10;

/// Reloads the configuration of a running server.
pub struct Reloader {
    app: Arc<App>,
    foundation: Arc<Foundation>,
    /// Settings with which the server runs.
    source: Mutex<Source>,
    /// Watches of the module files; [`None`] when another process has taken the place of this one.
    /// Locked during a reload, so that reloads wait for each other.
    watching: tokio::sync::Mutex<Option<WatchingBySite>>,
}

/// Prepared change of all sites, which is committed next or abandoned.
struct Change {
    /// Sites that stay, in the order of the configuration, each with its change.
    kept: Vec<(NewSite, Arc<Site>, Prepared)>,
    /// Sites that are added, with the watches of their module files.
    added: Vec<(Arc<Site>, Option<Watching>)>,
    removed: Vec<Arc<Site>>,
}

/// Site as the new configuration describes it.
struct NewSite {
    plan: SitePlan,
    demand: Demand,
    seen: Option<FileStamp>,
}

impl Reloader {
    /// Creates the reloader of a server that was started with these flags.
    pub fn new(args: &Serve, app: Arc<App>, foundation: Foundation, watching: WatchingBySite) -> Reloader {
        let foundation = Arc::new(foundation);
        let (source, watching) = (Mutex::new(args.source.clone()), tokio::sync::Mutex::new(Some(watching)));
        Reloader { app, foundation, source, watching }
    }

    /// Keeps reloads waiting while the returned guard lives. The guard has the watches of the
    /// module files, or [`None`] when another process has taken the place of this one.
    pub async fn hold(&self) -> tokio::sync::MutexGuard<'_, Option<WatchingBySite>> {
        self.watching.lock().await
    }

    /// Returns the lock file of the server's state folder; [`None`] without a state folder.
    pub fn held_lock(&self) -> Option<&File> {
        self.foundation.held_lock()
    }

    /// Handles SIGHUP: reloads the configuration, or under `host dev` reads the module file again.
    pub async fn hang_up(&self) {
        if self.source().line.is_empty() {
            self.app.sites.get().all().iter().for_each(|site| site.swapper.read_file(By::Hangup));
        } else {
            // The outcome is logged.
            let _ = self.reload_by(By::Hangup).await;
        }
    }

    /// Returns the settings with which the server runs.
    pub fn running(&self) -> Source {
        self.source().clone()
    }

    /// Reads the configuration again, and applies it as a whole or not at all. `by` is who asked
    /// for it.
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

    /// Prepares the change of all sites. After an error, nothing has changed.
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

    /// Commits the change of all sites. Returns the outcomes, and the sites that stay as they were,
    /// with the causes: another change may have been ordered since the preparation.
    ///
    /// # Errors
    ///
    /// One line for each site, when none of the sites that stay could be changed. No site is added
    /// or removed.
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

    /// Watches the module file of a site as the new configuration says. A watch with an equal path
    /// and mode goes on.
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

/// Commits the change of a site. Prepares the change again, up to [`ATTEMPTS`] times, if another
/// version was published meanwhile.
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

/// Puts the name of the site before a message, unless the site is the default one or the message
/// names it already.
fn of_site(name: &str, cause: String) -> String {
    if name == DEFAULT || cause.starts_with("site ") { cause } else { format!("site {name}: {cause}") }
}

/// Parses the command line of the server again, and reads the configuration and the files that it
/// names.
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
