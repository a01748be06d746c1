//! Watches the module file. Detects that the file is rewritten, replaced by a rename, or deleted
//! and created again, or that a symbolic link on its path is redirected.
//!
//! Every folder on the path is watched. An event says only that something may have changed, so the
//! file's metadata is compared after each event that concerns the path. A check once a second
//! covers file systems without events.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::files::stamp::{FileStamp, look};
use crate::site::by::By;
use crate::site::swapper::Swapper;
use crate::source::absence::Absence;

/// Way to watch the module file (`--watch`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// File-system events, and a check of the file once a second
    Events,
    /// A check of the file four times a second
    Poll,
}

/// Interval between checks of the module file that are made in addition to events.
const CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// Interval between checks of the module file where events are not used.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Debounce time outside a burst: the time without events after which the file is read. A
/// rename has none, because it puts a complete file in place.
const DEBOUNCE: Duration = Duration::from_millis(3);
/// Debounce time in a burst of changes, of which only the last matters.
const DEBOUNCE_IN_BURST: Duration = Duration::from_millis(100);
/// Maximum time between two changes of one burst.
const BURST_GAP: Duration = Duration::from_millis(500);
/// Debounce time while a process is writing to the file and has not closed it.
const DEBOUNCE_WHILE_OPEN: Duration = Duration::from_secs(2);
/// Maximum wait for a file that changes continuously.
pub(crate) const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);

/// Maximum number of symbolic links on one path, as on Linux. A path with more counts as a loop.
pub(crate) const SYMLINKS_MAX: usize = 40;

/// Watch of the module file of a site.
pub(super) struct Watch {
    path: PathBuf,
    /// Stamp (metadata) of the file when it was last compared; `None` while the file is missing.
    seen: Option<FileStamp>,
    /// Stamp that the latest check by polling found.
    last: Option<FileStamp>,
    swapper: Swapper,
    absence: Absence,
    /// Whether the watch has ended, because its [`Watching`](crate::source::watches::Watching) was
    /// dropped.
    ended: Arc<AtomicBool>,
}

impl Watch {
    /// Creates the watch of a file, which ends when `ended` is set.
    pub(super) fn new(
        path: PathBuf,
        seen: Option<FileStamp>,
        swapper: Swapper,
        ended: Arc<AtomicBool>,
    ) -> Watch {
        Watch { path, seen, last: seen, swapper, absence: Absence::default(), ended }
    }

    /// Returns whether the watch has ended.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Relaxed)
    }

    fn by_polling(&mut self) {
        while !self.ended.load(Relaxed) {
            thread::sleep(POLL_INTERVAL);
            self.poll();
        }
    }

    /// Checks the file once. Orders a swap only when two checks in a row find the same new stamp,
    /// because no write is in progress then.
    pub(super) fn poll(&mut self) {
        self.look_for_absence();
        let now = look(&self.path);
        if now == self.last {
            self.order_if_changed(now);
        }
        self.last = now;
    }

    /// Watches the file by events until the watch ends. Polls the file if events cannot be used.
    pub(super) fn by_events(&mut self) {
        let (mut trail, mut events) = match self.watch_trail() {
            Ok(watched) => watched,
            Err(error) => {
                warn!(%error, "cannot watch {} by events; checking it periodically instead", self.path.display());
                return self.by_polling();
            }
        };
        let mut last_change: Option<Instant> = None;
        // Stamp of a change that was found without an event and not confirmed yet.
        let mut unconfirmed = None;
        // Checks at once, because the file may have changed before the watch began.
        let mut next_check = Instant::now();
        while !self.ended.load(Relaxed) {
            match events.inbox.recv_timeout(next_check.saturating_duration_since(Instant::now())) {
                Ok(event) if concerns(&event, &trail) => {
                    let in_a_burst = last_change.is_some_and(|change| change.elapsed() < BURST_GAP);
                    let quiet = match event.kind {
                        _ if in_a_burst => DEBOUNCE_IN_BURST,
                        EventKind::Modify(ModifyKind::Name(_)) => Duration::ZERO,
                        _ => DEBOUNCE,
                    };
                    events.debounce(&event, &trail, quiet, &self.path);
                    last_change = Some(Instant::now());
                    unconfirmed = None;
                    // Watches anew if the path leads through other folders now.
                    if PathTrail::new(&self.path) != trail
                        && let Ok(watched) = self.watch_trail()
                    {
                        (trail, events) = watched;
                    }
                    self.order_if_changed(look(&self.path));
                    self.look_for_absence();
                }
                // Checks periodically, even while events of other files keep arriving.
                _ if Instant::now() >= next_check => {
                    next_check = Instant::now() + CHECK_INTERVAL;
                    self.look_for_absence();
                    let now = look(&self.path);
                    if now == self.seen {
                        continue;
                    }
                    // Without an event, the file may be incomplete. It is read once two
                    // checks have found the same stamp.
                    if unconfirmed == Some(now) {
                        self.order_if_changed(now);
                    }
                    unconfirmed = Some(now);
                    next_check = Instant::now() + POLL_INTERVAL;
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.by_polling(),
            }
        }
    }

    fn look_for_absence(&mut self) {
        if self.ended.load(Relaxed) {
            return;
        }
        self.absence.look(&self.path, || self.swapper.current().label.number);
    }

    fn order_if_changed(&mut self, now: Option<FileStamp>) {
        let before = std::mem::replace(&mut self.seen, now);
        if now.is_some() && now != before && !self.ended.load(Relaxed) {
            self.swapper.read_file(By::File);
        }
    }

    fn watch_trail(&self) -> notify::Result<(PathTrail, Events)> {
        let (send, inbox) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that events were lost. `Any` causes a check of the file.
            let _ = send.send(event.unwrap_or_else(|_| Event::new(EventKind::Any)));
        })?;
        let trail = PathTrail::new(&self.path);
        for (folder, _) in &trail.folders {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // Skips a missing or unreadable folder: its parent is watched too, and
                // has an event when the folder becomes usable.
                Err(error) if is_about_the_path(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((trail, Events { inbox, _watcher: watcher }))
    }
}

struct Events {
    inbox: Receiver<Event>,
    /// Kept alive, because dropping the watcher ends the events.
    _watcher: RecommendedWatcher,
}

impl Events {
    /// Waits until no event that concerns the path has come for the debounce time: `quiet`, or
    /// longer while a process has the file open for writing. Waits at most for `QUIET_WAIT_MAX`.
    fn debounce(&self, first: &Event, trail: &PathTrail, quiet: Duration, path: &Path) {
        let latest = Instant::now() + QUIET_WAIT_MAX;
        let mut open = is_open_afterwards(first, path).unwrap_or(false);
        let mut last = Instant::now();
        loop {
            let until = (last + if open { DEBOUNCE_WHILE_OPEN } else { quiet }).min(latest);
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) if concerns(&event, trail) => {
                    open = is_open_afterwards(&event, path).unwrap_or(open);
                    last = Instant::now();
                }
                Ok(_) if Instant::now() < until => {}
                _ => return,
            }
        }
    }
}

/// Returns whether a process has the file open for writing after an event, or `None` if
/// the event does not tell.
fn is_open_afterwards(event: &Event, path: &Path) -> Option<bool> {
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) => Some(true),
        // A new file that is empty is about to be written. One with content is a new hard
        // link to a complete file.
        EventKind::Create(_) => Some(look(path).is_some_and(|file| file.size == 0)),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(false),
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Some(false),
        _ => None,
    }
}

/// Returns whether an event may mean that the file at the path has changed.
fn concerns(event: &Event, trail: &PathTrail) -> bool {
    let by_reading =
        matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| trail.names.contains(name));
    // An event without a path means that events were lost.
    !by_reading && (event.paths.is_empty() || event.paths.iter().any(named))
}

fn is_about_the_path(error: &notify::Error) -> bool {
    match &error.kind {
        notify::ErrorKind::PathNotFound => true,
        notify::ErrorKind::Io(error) => {
            matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory
            )
        }
        _ => false,
    }
}

/// Folders on the way to a file, including those behind symbolic links, and the names in these
/// folders whose changes matter.
#[derive(Debug, PartialEq, Eq)]
struct PathTrail {
    /// Folders with their inodes. The inode differs if another folder has taken the path of a
    /// folder.
    folders: BTreeSet<(PathBuf, Option<u64>)>,
    names: BTreeSet<OsString>,
}

impl PathTrail {
    fn new(path: &Path) -> PathTrail {
        let mut trail = PathTrail { folders: BTreeSet::new(), names: BTreeSet::new() };
        let mut remaining: VecDeque<PathBuf> = split(path);
        let mut here = PathBuf::from("/");
        let mut symlinks = 0;
        while let Some(step) = remaining.pop_front() {
            match step.components().next() {
                Some(Component::RootDir) => here = step,
                Some(Component::ParentDir) => drop(here.pop()),
                Some(Component::Normal(name)) => {
                    let inode = here.metadata().ok().map(|folder| folder.ino());
                    trail.folders.insert((here.clone(), inode));
                    trail.names.insert(name.to_owned());
                    here.push(name);
                    if let Ok(target) = here.read_link() {
                        symlinks += 1;
                        if symlinks > SYMLINKS_MAX {
                            break;
                        }
                        here.pop();
                        for step in split(&target).into_iter().rev() {
                            remaining.push_front(step);
                        }
                    }
                }
                _ => {}
            }
        }
        trail
    }
}

fn split(path: &Path) -> VecDeque<PathBuf> {
    path.components().map(|component| PathBuf::from(component.as_os_str())).collect()
}

#[cfg(test)]
mod tests {
    use super::PathTrail;
    use std::os::unix::fs::symlink;

    #[test]
    fn symlinks_in_a_circle_end_somewhere() {
        let path = std::env::temp_dir().join(format!("circle-{}", std::process::id()));
        symlink(&path, &path).unwrap();
        assert!(!PathTrail::new(&path).folders.is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
