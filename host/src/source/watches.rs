//! Watches of the module files of all sites.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use host_wasm::health;

use crate::files::stamp::FileStamp;
use crate::site::swapper::Swapper;
use crate::source::watch::{Mode, POLL_INTERVAL, Watch};

/// Maximum number of files that are watched by events. Each needs a thread and an event queue, and
/// the system limits the event queues of each user. One thread polls all other files.
pub(crate) const BY_EVENTS_MAX: usize = 32;

/// Watches of the module files of all sites.
#[derive(Clone, Default)]
pub struct Watches(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Number of files that are watched by events.
    by_events: AtomicUsize,
    /// Files that the polling thread checks; `None` until that thread starts.
    polled: Mutex<Option<Vec<Watch>>>,
}

/// Handle of the watch of a file. After the handle is dropped, the watch orders no more swaps, and
/// soon ends.
pub struct Watching {
    path: PathBuf,
    mode: Mode,
    ended: Arc<AtomicBool>,
    by_events: Option<Arc<Shared>>,
}

impl Watching {
    /// Returns whether the file at this path is watched in this mode.
    pub fn is_of(&self, path: Option<&Path>, mode: Mode) -> bool {
        let path = path.and_then(|path| std::path::absolute(path).ok());
        self.mode == mode && path.is_some_and(|path| path == self.path)
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.ended.store(true, Relaxed);
        if let Some(shared) = &self.by_events {
            shared.by_events.fetch_sub(1, Relaxed);
        }
    }
}

impl Watches {
    /// Starts to watch a module file. Each change of the file orders a swap. `seen` is the stamp
    /// that the file had before it was first read.
    ///
    /// # Errors
    ///
    /// When the working folder is gone, or a thread cannot be created.
    pub fn start(
        &self,
        path: &Path,
        seen: Option<FileStamp>,
        mode: Mode,
        swapper: Swapper,
    ) -> io::Result<Watching> {
        let path = std::path::absolute(path)?;
        let ended = Arc::new(AtomicBool::new(false));
        let (its_ended, its_path) = (Arc::clone(&ended), path.clone());
        let mut watch = Watch::new(its_path, seen, swapper, its_ended);
        let shared = &self.0;
        if mode == Mode::Events && shared.by_events.fetch_add(1, Relaxed) < BY_EVENTS_MAX {
            let by_events = Some(Arc::clone(shared));
            let started = health::keep_running("watch", move || watch.by_events());
            started.inspect_err(|_| {
                shared.by_events.fetch_sub(1, Relaxed);
            })?;
            return Ok(Watching { path, mode, ended, by_events });
        }
        if mode == Mode::Events {
            shared.by_events.fetch_sub(1, Relaxed);
        }
        let mut polled = shared.polled.lock().unwrap_or_else(PoisonError::into_inner);
        if polled.is_none() {
            let shared = Arc::clone(shared);
            health::keep_running("poll", move || shared.poll_always())?;
        }
        polled.get_or_insert_default().push(watch);
        Ok(Watching { path, mode, ended, by_events: None })
    }
}

impl Shared {
    /// Checks the files that are not watched by events, every `POLL_INTERVAL`. Never returns.
    fn poll_always(&self) {
        loop {
            thread::sleep(POLL_INTERVAL);
            let mut polled = self.polled.lock().unwrap_or_else(PoisonError::into_inner);
            let watches = polled.get_or_insert_default();
            watches.retain(|watch| !watch.has_ended());
            watches.iter_mut().for_each(Watch::poll);
        }
    }
}
