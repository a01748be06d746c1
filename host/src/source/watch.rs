//! Who notices that the file has changed: rewritten, renamed over, deleted and
//! made again, or reached by another way because a symlink on its path was
//! pointed elsewhere.
//!
//! Events say that something may have happened, and only a look at the file
//! says what: every folder that its path leads through is watched, and after
//! each event that concerns the path the file is looked at. A look once a
//! second covers file systems that have no events.

use std::collections::{BTreeSet, VecDeque};
use std::ffi::OsString;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use clap::ValueEnum;
use host_wasm::health;
use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tracing::warn;

use crate::site::swapper::{Swapper, Task};

/// How the file is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// By the events of the file system, and a look at the file once a second
    Events,
    /// By looking at the file alone
    Poll,
}

/// How often the file is looked at where events are expected, and where not.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// How long it has to be quiet around the file before it is read. The first
/// change after a calm is taken up quickly, and at once when it was a rename,
/// which puts in place what is whole; changes that follow each other are taken
/// for a burst, of which only the end matters.
const QUIET: Duration = Duration::from_millis(3);
const QUIET_IN_A_BURST: Duration = Duration::from_millis(100);
/// How long after a change the next one is part of the same burst.
const CALM: Duration = Duration::from_millis(500);
/// How long it has to be quiet when somebody has begun to write into the file
/// and has not closed it yet.
const QUIET_WHILE_OPEN: Duration = Duration::from_secs(2);
/// How long a file that is changed all the time is not read at the most.
pub(crate) const QUIET_WAIT_MAX: Duration = Duration::from_secs(10);

/// Symlinks on one path, past which it is taken for a loop; Linux's own number.
pub(crate) const SYMLINKS_MAX: usize = 40;

/// What tells one content of a file from the next without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Starts the thread that watches a file, which was like `seen` before it was
/// read. The thread orders the swaps, and ends with the process.
///
/// # Errors
///
/// When the working folder is gone, or there is no thread to be had.
pub fn start(path: &Path, seen: Option<Look>, mode: Mode, swapper: Swapper) -> io::Result<()> {
    let path = std::path::absolute(path)?;
    let mut watch = Watch { seen, path, swapper };
    health::keep_running("watch", move || match mode {
        Mode::Events => watch.by_events(),
        Mode::Poll => watch.by_polling(),
    })
    .map(drop)
}

struct Watch {
    path: PathBuf,
    /// The file as it was when a swap was last ordered; `None` while it is away.
    seen: Option<Look>,
    swapper: Swapper,
}

impl Watch {
    fn by_polling(&mut self) {
        let mut last = self.seen;
        loop {
            thread::sleep(POLL_INTERVAL);
            // Alike in two looks: nobody is in the middle of writing it.
            let now = look(&self.path);
            if now == last {
                self.order_if_changed(now);
            }
            last = now;
        }
    }

    fn by_events(&mut self) {
        let (mut way, mut events) = match self.watch_the_way() {
            Ok(watched) => watched,
            Err(error) => {
                warn!(%error, "no events for {}: it is looked at instead", self.path.display());
                return self.by_polling();
            }
        };
        let mut last_change: Option<Instant> = None;
        // What an unexpected look has found, until the next one finds the same.
        let mut unconfirmed = None;
        // At once: it may have changed before there were events.
        let mut next_look = Instant::now();
        loop {
            match events.inbox.recv_timeout(next_look.saturating_duration_since(Instant::now())) {
                Ok(event) if concerns(&event, &way) => {
                    let in_a_burst = last_change.is_some_and(|change| change.elapsed() < CALM);
                    let quiet = match event.kind {
                        _ if in_a_burst => QUIET_IN_A_BURST,
                        EventKind::Modify(ModifyKind::Name(_)) => Duration::ZERO,
                        _ => QUIET,
                    };
                    events.wait_for_quiet(&event, &way, quiet, &self.path);
                    last_change = Some(Instant::now());
                    unconfirmed = None;
                    // The way may lead through other folders now.
                    if Way::new(&self.path) != way
                        && let Ok(watched) = self.watch_the_way()
                    {
                        (way, events) = watched;
                    }
                    self.order_if_changed(look(&self.path));
                }
                // By the clock, whatever else happens in these folders.
                _ if Instant::now() >= next_look => {
                    next_look = Instant::now() + LOOK_INTERVAL;
                    let now = look(&self.path);
                    if now == self.seen {
                        continue;
                    }
                    // There was no event, so nobody says whether it is whole.
                    if unconfirmed == Some(now) {
                        self.order_if_changed(now);
                    }
                    unconfirmed = Some(now);
                    next_look = Instant::now() + POLL_INTERVAL;
                }
                Ok(_) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return self.by_polling(),
            }
        }
    }

    fn order_if_changed(&mut self, now: Option<Look>) {
        let before = std::mem::replace(&mut self.seen, now);
        if now.is_some() && now != before {
            self.swapper.order_and_go_on(Task::FileChanged);
        }
    }

    fn watch_the_way(&self) -> notify::Result<(Way, Events)> {
        let (send, inbox) = channel();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            // An error means that events were lost: look at the file then.
            let _ = send.send(event.unwrap_or_else(|_| Event::new(EventKind::Any)));
        })?;
        let way = Way::new(&self.path);
        for (folder, _) in &way.folders {
            match watcher.watch(folder, RecursiveMode::NonRecursive) {
                Ok(()) => {}
                // Not there, or not to be listed: the folder above it is
                // watched too, and tells when that changes.
                Err(error) if is_about_the_path(&error) => {}
                Err(error) => return Err(error),
            }
        }
        Ok((way, Events { inbox, _watcher: watcher }))
    }
}

struct Events {
    inbox: Receiver<Event>,
    /// Events come for as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Events {
    /// Takes in what follows an event, until it has been quiet for long enough.
    fn wait_for_quiet(&self, first: &Event, way: &Way, quiet: Duration, path: &Path) {
        let latest = Instant::now() + QUIET_WAIT_MAX;
        let mut open = is_open_afterwards(first, path).unwrap_or(false);
        let mut last = Instant::now();
        loop {
            let until = (last + if open { QUIET_WHILE_OPEN } else { quiet }).min(latest);
            match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(event) if concerns(&event, way) => {
                    open = is_open_afterwards(&event, path).unwrap_or(open);
                    last = Instant::now();
                }
                Ok(_) if Instant::now() < until => {}
                _ => return,
            }
        }
    }
}

/// Whether somebody is writing into the file after this event, if it tells.
fn is_open_afterwards(event: &Event, path: &Path) -> Option<bool> {
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) => Some(true),
        // Nobody means to leave it empty; a link to a whole file is made too.
        EventKind::Create(_) => Some(look(path).is_some_and(|file| file.size == 0)),
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => Some(false),
        EventKind::Modify(ModifyKind::Name(_)) | EventKind::Remove(_) => Some(false),
        _ => None,
    }
}

/// Whether an event may have changed what the path leads to.
fn concerns(event: &Event, way: &Way) -> bool {
    let by_reading =
        matches!(event.kind, EventKind::Access(kind) if kind != AccessKind::Close(AccessMode::Write));
    let named = |path: &PathBuf| path.file_name().is_some_and(|name| way.names.contains(name));
    // Without a path it says that events were lost.
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

/// The folders that a path leads through, and the names in them that matter.
#[derive(Debug, PartialEq, Eq)]
struct Way {
    /// With the inode of each, by which a folder is told from another that took
    /// its place.
    folders: BTreeSet<(PathBuf, Option<u64>)>,
    names: BTreeSet<OsString>,
}

impl Way {
    fn new(path: &Path) -> Way {
        let mut way = Way { folders: BTreeSet::new(), names: BTreeSet::new() };
        let mut ahead: VecDeque<PathBuf> = split(path);
        let mut here = PathBuf::from("/");
        let mut symlinks = 0;
        while let Some(step) = ahead.pop_front() {
            match step.components().next() {
                Some(Component::RootDir) => here = step,
                Some(Component::ParentDir) => drop(here.pop()),
                Some(Component::Normal(name)) => {
                    let inode = here.metadata().ok().map(|folder| folder.ino());
                    way.folders.insert((here.clone(), inode));
                    way.names.insert(name.to_owned());
                    here.push(name);
                    if let Ok(target) = here.read_link() {
                        symlinks += 1;
                        if symlinks > SYMLINKS_MAX {
                            break;
                        }
                        here.pop();
                        for step in split(&target).into_iter().rev() {
                            ahead.push_front(step);
                        }
                    }
                }
                _ => {}
            }
        }
        way
    }
}

fn split(path: &Path) -> VecDeque<PathBuf> {
    path.components().map(|component| PathBuf::from(component.as_os_str())).collect()
}

/// What a path leads to now, if it leads to anything.
pub fn look(path: &Path) -> Option<Look> {
    let file = path.metadata().ok()?;
    Some(Look {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}

#[cfg(test)]
mod tests {
    use super::Way;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn a_way_leads_through_symlinks_to_the_file() {
        let root = std::env::temp_dir().join(format!("way-{}", std::process::id()));
        std::fs::create_dir_all(root.join("v1")).unwrap();
        symlink("v1", root.join("data")).unwrap();
        symlink("data/handler.wasm", root.join("current.wasm")).unwrap();
        let way = Way::new(&root.join("current.wasm"));
        let folders: Vec<&Path> = way.folders.iter().map(|(folder, _)| folder.as_path()).collect();
        assert!(
            folders.contains(&root.as_path()) && folders.contains(&root.join("v1").as_path()),
            "{folders:?}"
        );
        for name in ["current.wasm", "data", "v1", "handler.wasm"] {
            assert!(way.names.contains(std::ffi::OsStr::new(name)), "{name}");
        }
        std::fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn symlinks_in_a_circle_end_somewhere() {
        let path = std::env::temp_dir().join(format!("circle-{}", std::process::id()));
        symlink(&path, &path).unwrap();
        assert!(!Way::new(&path).folders.is_empty());
        std::fs::remove_file(path).unwrap();
    }
}
