//! The part of an upgrade that runs in the old process: starts the new process, and sends it the
//! sockets, the locks and the versions of all sites. If the new process fails, the old one
//! continues to serve.

use std::collections::HashSet;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use tokio::runtime::Handle;
use tokio::sync::SetOnce;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::files::own_file;
use crate::net::listener;
use crate::reload::Reloader;
use crate::serve::app::App;
use crate::site::by::By;
use crate::site::directory::Site;
use crate::site::outcome::HANDED_OVER;
use crate::telemetry::service;
use crate::upgrade::new_process::NewProcess;
use crate::upgrade::program::Program;
use crate::upgrade::wire::{self, Message};

/// Maximum number of new processes that one upgrade starts, one after the other. A swap or a
/// rollback before a new process is ready makes that process outdated, so another one is started.
const ATTEMPTS: usize = 5;

/// Maximum time from when the old process refuses further changes to when the new process serves.
/// The new process has prepared its versions before, so this takes little time.
const TAKING: Duration = Duration::from_secs(5);

/// Interval at which a waiting upgrade checks whether the swap in progress has ended.
const PREPARING_INTERVAL: Duration = Duration::from_millis(20);

/// Carries out upgrades: replaces this server process by a new process without closing a socket.
pub struct Upgrader {
    program: Program,
    app: Arc<App>,
    reloader: Arc<Reloader>,
    timeout: Duration,
    held: Mutex<Held>,
    /// Locked during an upgrade, so that only one runs at a time.
    running: tokio::sync::Mutex<()>,
    /// Id of the new process; set once that process serves instead of this one.
    handed_over: SetOnce<u32>,
    /// Runtime on which upgrades run, so that an upgrade continues when the client that requested
    /// it disconnects.
    runtime: Handle,
}

/// Sockets and lock file that this process keeps open, to pass them to the new process in an
/// upgrade.
#[derive(Default)]
pub struct Held {
    /// Bound sockets with their names: a flag and its value, such as `--listen :80`, or `LISTEN_FDS`
    /// for a socket that systemd passed.
    pub sockets: Vec<(String, OwnedFd)>,
    /// Lock file of the control socket.
    pub control: Option<File>,
}

/// Outcome of starting one new process.
enum Attempt {
    /// The new process serves. Contains its process id.
    Serves(u32),
    /// The new process does not have the newest version, because a swap or a rollback was made or
    /// started while the process got ready.
    Outdated,
}

impl Upgrader {
    /// Creates the upgrader of a server. Must be called on the server's runtime, which runs the
    /// upgrades.
    pub fn new(app: Arc<App>, reloader: Arc<Reloader>) -> Upgrader {
        let timeout = app.limits.server.upgrade_timeout;
        let (held, running, handed_over) = (Mutex::default(), tokio::sync::Mutex::default(), SetOnce::new());
        Upgrader {
            program: Program::own(),
            app,
            reloader,
            timeout,
            held,
            running,
            handed_over,
            runtime: Handle::current(),
        }
    }

    /// Stores the sockets and the lock file that a new process takes over. Every upgrade fails
    /// until this is called.
    pub fn hold(&self, held: Held) {
        *self.held() = held;
    }

    /// Returns the maximum time of an upgrade (`--upgrade-timeout`).
    pub fn timeout(&self) -> Duration {
        self.timeout
    }

    pub(super) fn reloader(&self) -> &Reloader {
        &self.reloader
    }

    /// Waits until a new process serves in place of this one, and returns its id.
    pub async fn handed_over(&self) -> u32 {
        *self.handed_over.wait().await
    }

    /// Closes the sockets and the lock file of [`Upgrader::hold`], because the server is stopped.
    /// Later upgrades fail.
    pub fn close(&self) {
        *self.held() = Held::default();
    }

    /// Starts the program again, and lets the new process take over. Logs the outcome. Returns the
    /// id of the new process.
    ///
    /// # Errors
    ///
    /// One line that says why the upgrade failed. This process continues to serve.
    pub async fn upgrade(self: &Arc<Self>, by: By) -> Result<u32, String> {
        let upgrader = Arc::clone(self);
        let upgrade = self.runtime.spawn(async move { upgrader.carry_out(by).await });
        upgrade.await.map_err(|failed| failed.to_string())?
    }

    async fn carry_out(self: &Arc<Self>, by: By) -> Result<u32, String> {
        let upgraded = self.try_upgrade().await.map_err(|error| format!("{error:#}"));
        match &upgraded {
            Ok(process) => {
                info!(process, %by, "upgraded: a new process serves");
                // An upgrade succeeds once.
                let _ = self.handed_over.set(*process);
            }
            Err(cause) => warn!(cause, %by, "not upgraded: this process goes on"),
        }
        upgraded
    }

    async fn try_upgrade(self: &Arc<Self>) -> anyhow::Result<u32> {
        let Ok(_running) = self.running.try_lock() else { bail!("an upgrade is in progress already") };
        if self.reloader.running().line.is_empty() {
            bail!("host dev has no upgrade; end it, and start it again");
        }
        if std::process::id() == 1 {
            bail!("this is the first process of a container, which ends with it; start a new container");
        }
        // Reloads wait, so that no site is added or removed.
        let mut watching = self.reloader.hold().await;
        if watching.is_none() {
            bail!(HANDED_OVER);
        }
        if self.app.ending.has_begun() {
            bail!("the server ends");
        }
        let program = self.program.path.display().to_string();
        info!(program, "upgrade: starting a new process");
        let (upgrader, sites) = (Arc::clone(self), self.app.sites.get().all().to_vec());
        let process = spawn_blocking(move || upgrader.replace(&sites)).await??;
        // The new process watches the files, and reloads.
        *watching = None;
        Ok(process)
    }

    fn replace(&self, sites: &[Arc<Site>]) -> anyhow::Result<u32> {
        let until = Instant::now() + self.timeout;
        for _ in 0..ATTEMPTS {
            while sites.iter().any(|site| site.swapper.is_preparing()) {
                if Instant::now() > until {
                    bail!("a swap is still in progress after {:?} (--upgrade-timeout)", self.timeout);
                }
                sleep(PREPARING_INTERVAL);
            }
            if let Attempt::Serves(process) = self.attempt(sites, until)? {
                return Ok(process);
            }
            info!("upgrade: a version was swapped meanwhile, so the new process is started again");
        }
        bail!("swaps or rollbacks came {ATTEMPTS} times while a new process got ready; try again later")
    }

    fn attempt(&self, sites: &[Arc<Site>], until: Instant) -> anyhow::Result<Attempt> {
        let attempt = self.start_another(sites, until);
        if !matches!(attempt, Ok(Attempt::Serves(_))) {
            // The new process has ended, which may have written its number into the locks.
            self.sign_locks(sites);
        }
        attempt
    }

    fn start_another(&self, sites: &[Arc<Site>], until: Instant) -> anyhow::Result<Attempt> {
        let mut new = NewProcess::start(&self.program, until, self.timeout)?;
        let marks = new.told(self.hand(sites, &new.socket))?;
        new.wait_for(&Message::Ready)?;
        self.expect_running()?;

        let is_closed = |(site, mark): &(&Arc<Site>, &u64)| site.swapper.hand_over(**mark);
        let closed: Vec<_> = sites.iter().zip(&marks).take_while(is_closed).map(|(site, _)| site).collect();
        if closed.len() < sites.len() {
            closed.iter().for_each(|site| site.swapper.take_back());
            return Ok(Attempt::Outdated);
        }
        // Nothing can change meanwhile.
        new.has_to_serve_within(TAKING);
        let started = new.told(wire::send(&new.socket, &Message::Go).map_err(Into::into));
        let serves =
            started.and_then(|()| new.wait_for(&Message::Serving)).and_then(|()| self.expect_running());
        if let Err(error) = serves {
            // Ended first, because it writes to the state folder.
            new.end();
            closed.iter().for_each(|site| site.swapper.take_back());
            return Err(error);
        }
        let process = new.release();
        listener::leave_paths(true);
        service::handed_over(process);
        // The new process serves, whatever becomes of this message.
        let _ = wire::send(&new.socket, &Message::Main);
        Ok(Attempt::Serves(process))
    }

    /// Returns an error if the server holds no sockets, because it has not begun to serve or is
    /// being stopped.
    fn expect_running(&self) -> anyhow::Result<()> {
        if self.held().sockets.is_empty() {
            bail!("the server begins or ends; try again later");
        }
        Ok(())
    }

    fn sign_locks(&self, sites: &[Arc<Site>]) {
        let sign = |lock: &File| {
            own_file::sign(lock);
            Ok(())
        };
        // Signing does not fail: without room on the disk, the number is missing.
        let _ = self.locks(sites, sign);
        self.held().control.as_ref().map(own_file::sign);
    }

    /// Sends the new process the sockets, the locks and the versions of all sites. Returns a mark
    /// for each site, with which `Swapper::hand_over` detects that the site has changed since.
    fn hand(&self, sites: &[Arc<Site>], to: &UnixStream) -> anyhow::Result<Vec<u64>> {
        self.expect_running()?;
        let held = self.held();
        for (name, socket) in &held.sockets {
            wire::send(to, &Message::Socket { name: name.clone() })?;
            wire::send_descriptor(to, socket.as_fd())?;
        }
        let send_lock = |lock: &File| {
            wire::send(to, &Message::Lock)?;
            wire::send_descriptor(to, lock.as_fd())
        };
        held.control.as_ref().map_or(Ok(()), send_lock)?;
        drop(held);
        self.locks(sites, send_lock)?;
        let (mut marks, mut sent) = (Vec::new(), HashSet::new());
        for site in sites {
            let (mark, handed) = site.swapper.to_hand_over();
            marks.push(mark);
            let state = Box::new(handed.state);
            wire::send(to, &Message::Site { name: site.name.to_string(), state })?;
            for (label, file) in handed.files {
                let (sha256, length) = (label.sha256.clone(), file.len());
                if sent.insert(label.sha256) {
                    wire::send(to, &Message::Module { sha256, length })?;
                    wire::send_bytes(to, &file)?;
                }
            }
        }
        let has_state_dir = self.reloader.held_lock().is_some();
        let configuration = self.reloader.running().file.map(|file| file.to_string_lossy().into_owned());
        wire::send(to, &Message::Complete { configuration, has_state_dir })?;
        Ok(marks)
    }

    /// Calls a function with the lock file of each state folder. Stops at the first error.
    fn locks(&self, sites: &[Arc<Site>], run: impl Fn(&File) -> io::Result<()>) -> io::Result<()> {
        let of_sites = sites.iter().filter_map(|site| site.swapper.held_lock());
        self.reloader.held_lock().into_iter().chain(of_sites).try_for_each(run)
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
