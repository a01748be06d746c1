//! Builds a server from its flags: the engine, the sites with their first versions, the
//! background threads, and the state that connections share.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, bail};
use host_http::request_id::ConnectionIds;
use host_wasm::{Compilers, Engine};
use tokio::sync::Semaphore;

use crate::acme::runner::Acme;
use crate::background::Background;
use crate::cli::serve::{Serve, SitePlan};
use crate::config::site::DEFAULT;
use crate::events::hub::Events;
use crate::fault_counts::FaultCounts;
use crate::files::private_folder::PrivateFolder;
use crate::files::stamp::{self, FileStamp};
use crate::in_force::InForce;
use crate::metrics::OfSite;
use crate::record::Recorder;
use crate::rollout::journal::Journal;
use crate::serve::app::{App, ConnectionCounts};
use crate::serve::buffers::Buffers;
use crate::serve::ending::Ending;
use crate::site::activate::Activator;
use crate::site::begin::{Beginning, begin, go_on};
use crate::site::by::By;
use crate::site::current::Published;
use crate::site::directory::{Directory, Site};
use crate::site::handed::Handed;
use crate::site::probation::Probation;
use crate::site::shared::Settings;
use crate::site::shelf::Shelf;
use crate::site::state_dir::StateDir;
use crate::site::swapper::Swapper;
use crate::site::version::Label;
use crate::source::watches::{Watches, Watching};
use crate::tls::keeper::Tls;

/// Increase of the nice value of the thread that replays the requests of journals. Its lower
/// priority keeps it from delaying the requests of clients.
const REPLAY_NICE: i32 = 10;

/// Running watches of module files, with the name of the site as the key.
pub type WatchingBySite = BTreeMap<Arc<str>, Watching>;

/// Engine, threads and folders that all sites of a server share.
pub struct Foundation {
    engine: Engine,
    compilers: Compilers,
    shelf: Shelf,
    /// Thread that prepares candidates.
    thread: Background,
    /// Thread that replays the requests of journals.
    replays: Background,
    watches: Watches,
    events: Arc<Events>,
    /// State folder of the server (`--state-dir`), locked against other servers. Each named site
    /// keeps its versions in a subfolder of its own.
    state_dir: Option<Arc<PrivateFolder>>,
    require_durable: bool,
    module_max: usize,
    tls: Option<Arc<Tls>>,
    /// Gets certificates by ACME; [`None`] without TLS.
    acme: Option<Arc<Acme>>,
}

/// Site whose first version is loaded, but which is not started yet. [`Foundation::start`] starts
/// it.
pub struct Loaded {
    plan: SitePlan,
    activator: Activator,
    beginning: Beginning,
    /// Stamp of the module file, taken before the file was read, so that later changes of the file
    /// are detected.
    seen: Option<FileStamp>,
}

impl Foundation {
    /// Reads the certificates, sets up the engine, starts the background threads, and locks the
    /// state folder.
    ///
    /// # Errors
    ///
    /// One line that says what the system refuses, or why the state folder or a certificate cannot
    /// be used.
    pub fn new(args: &Serve, compilers: Compilers) -> anyhow::Result<Foundation> {
        let (events, tls) = (Arc::default(), args.tls());
        let of_tls = Tls::new(&tls, &events)?.map(Arc::new);
        let state_dir = args.swap.state_dir.as_deref().map(lock_state).transpose()?;
        let acme = of_tls.clone().map(|of_tls| Acme::new(tls.acme, of_tls, Arc::clone(&events)));
        Ok(Foundation {
            engine: Engine::new(&args.limits.for_engine())?,
            compilers,
            shelf: Shelf::default(),
            thread: Background::start("swap", 0).context("cannot start the swap thread")?,
            replays: Background::start("replay", REPLAY_NICE).context("cannot start the replay thread")?,
            watches: Watches::default(),
            tls: of_tls,
            acme: acme.transpose()?.map(Arc::new),
            events,
            state_dir,
            require_durable: args.swap.require_durable,
            module_max: args.limits.swap.module_max,
        })
    }

    /// Returns the lock file of the server's state folder; [`None`] without a state folder.
    pub fn held_lock(&self) -> Option<&File> {
        self.state_dir.as_ref()?.held_lock()
    }

    /// Returns the engine that runs the calls.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Loads and starts a site on the thread that prepares candidates, so that reading files does
    /// not delay requests.
    ///
    /// # Errors
    ///
    /// As [`Foundation::load`] and [`Foundation::start`].
    pub async fn found(self: &Arc<Self>, plan: SitePlan) -> anyhow::Result<(Site, Option<Watching>)> {
        let foundation = Arc::clone(self);
        let work = async move { foundation.start(foundation.load(plan, None).await?) };
        self.thread.run(work).await.map_err(anyhow::Error::msg)?
    }

    /// Opens the state folder of a site, and loads its first version. With `handed`, instead takes
    /// over the versions of the process that this one replaces, and writes nothing to the folder
    /// until [`Foundation::start`].
    ///
    /// # Errors
    ///
    /// One line that names the file, folder or module that cannot be used, and why.
    pub async fn load(&self, plan: SitePlan, handed: Option<Handed>) -> anyhow::Result<Loaded> {
        let context = (&*plan.name != DEFAULT).then(|| format!("site {}", plan.name));
        let loaded = self.load_plan(plan, handed).await;
        match context {
            Some(context) => loaded.context(context),
            None => loaded,
        }
    }

    async fn load_plan(&self, plan: SitePlan, handed: Option<Handed>) -> anyhow::Result<Loaded> {
        let args = &plan.args;
        let demand = args.demand()?;
        let engine = self.engine.for_site(&args.limits.for_engine());
        let (compilers, shelf) = (self.compilers.clone(), self.shelf.clone());
        let activator = Activator { engine, compilers, shelf };
        let dir = self.state_dir.as_ref().map(|folder| self.state_of(folder, &plan.name)).transpose()?;
        let seen = args.module.as_deref().and_then(stamp::look);
        let limits = &args.limits.swap;
        let beginning = match handed {
            Some(handed) => go_on(&activator, limits, demand, dir, handed).await?,
            None => {
                dir.iter().for_each(StateDir::set_up);
                begin(&activator, limits, demand, dir).await?
            }
        };
        Ok(Loaded { plan, activator, beginning, seen })
    }

    /// Opens the state folder of a site: `folder` itself for the default site, or else a subfolder.
    fn state_of(&self, folder: &Arc<PrivateFolder>, site: &str) -> anyhow::Result<StateDir> {
        let folder = match site {
            // A site that a reload has removed has the folder until its last request is answered.
            DEFAULT if Arc::strong_count(folder) > 1 => {
                bail!(
                    "the state folder {} is still used by this server; try again later",
                    folder.path().display()
                )
            }
            DEFAULT => Arc::clone(folder),
            name => lock_state(&folder.path().join(format!("site-{name}")))?,
        };
        Ok(StateDir::new(folder, self.module_max))
    }

    /// Starts the [`Swapper`] of a loaded site, which carries out its swaps, and watches its module
    /// file.
    ///
    /// # Errors
    ///
    /// One line that names the file or folder that cannot be used, and why.
    pub fn start(&self, loaded: Loaded) -> anyhow::Result<(Site, Option<Watching>)> {
        let Loaded { plan: SitePlan { name, place, args }, activator, beginning, seen } = loaded;
        let takes_over = beginning.taken_over.is_some();
        let proof = args.proof.proof();
        let (journal, probation) = (Arc::new(Journal::new(&proof)), Arc::<Probation>::default());
        let metrics = Arc::<OfSite>::default();
        let settings = Settings {
            site: (&*name != DEFAULT).then(|| Arc::clone(&name)),
            activator,
            module_max: self.module_max,
            require_durable: self.require_durable,
            journal: Arc::clone(&journal),
            probation: Arc::clone(&probation),
            replays: self.replays.clone(),
            notice: args.notice.clone(),
            events: Arc::clone(&self.events),
            metrics: Arc::clone(&metrics),
        };
        let swapper = Swapper::start(settings, beginning, &self.thread)?;
        let watching = self.watch(&args, seen, &swapper).inspect_err(|_| swapper.close())?;
        // The first version may come from the state folder, and the file may have changed
        // while no server was running.
        if args.module.is_some() && self.state_dir.is_some() && !takes_over {
            swapper.read_file(By::File);
        }
        let limits = Arc::new(args.limits);
        Ok((Site { name, place, swapper, journal, probation, metrics, limits }, watching))
    }

    /// Starts to watch the module file of a site. Returns [`None`] if the site has no module file,
    /// or with `--no-watch`. `seen` is the stamp of the file, taken before the file was last read.
    ///
    /// # Errors
    ///
    /// One line that names the file, and why it cannot be watched.
    pub fn watch(
        &self,
        args: &Serve,
        seen: Option<FileStamp>,
        swapper: &Swapper,
    ) -> anyhow::Result<Option<Watching>> {
        let Some(path) = args.module.as_ref().filter(|_| !args.swap.no_watch) else {
            return Ok(None);
        };
        let watching = self.watches.start(path, seen, args.swap.watch, swapper.clone());
        let context = || format!("cannot watch {} (disable with --no-watch)", path.display());
        watching.map(Some).with_context(context)
    }
}

/// Locks a state folder against other servers.
fn lock_state(path: &Path) -> anyhow::Result<Arc<PrivateFolder>> {
    StateDir::lock(path)
        .with_context(|| format!("cannot use the state folder {} (--state-dir)", path.display()))
}

impl Loaded {
    /// Returns the name of the site, and the label of its first version.
    pub fn first(&self) -> (&str, &Label) {
        (&self.plan.name, &self.beginning.version.label)
    }
}

/// Starts the sites, the watch of the certificate files, and the recorder of failed requests.
/// Returns the state that all connections share, and the running watches of the module files.
///
/// # Errors
///
/// One line that names the thread, file or folder that cannot be used, and why.
pub fn start(
    args: &Serve,
    foundation: &Foundation,
    loaded: Vec<Loaded>,
) -> anyhow::Result<(App, WatchingBySite)> {
    let mut watching = WatchingBySite::new();
    let mut sites = Vec::new();
    for each in loaded {
        let (site, watch) = foundation.start(each)?;
        watching.extend(watch.map(|watch| (Arc::clone(&site.name), watch)));
        sites.push(Arc::new(site));
    }
    if let Some(tls) = &foundation.tls {
        Arc::clone(tls).watch().context("cannot start the thread for certificates")?;
    }
    let app = App {
        tls: foundation.tls.clone(),
        acme: foundation.acme.clone(),
        sites: Published::new(Directory::new(sites)),
        settings: InForce::new(args.settings()),
        buffers: Buffers::new(args.limits.server.buffer_max),
        permits: Arc::new(Semaphore::new(args.limits.server.connections)),
        ids: ConnectionIds::new(),
        notice: args.notice.clone(),
        faults: FaultCounts::default(),
        metrics: OfSite::default(),
        connections: ConnectionCounts::default(),
        events: Arc::clone(&foundation.events),
        recorder: Recorder::start(&args.recording)?,
        ending: Ending::default(),
        limits: args.limits.clone(),
    };
    Ok((app, watching))
}
