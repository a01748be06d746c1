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

/// Most files that are watched by events: each needs a thread, and the system has few event
/// queues for each user. The others are checked by one thread.
pub(crate) const BY_EVENTS_MAX: usize = 32;

/// Watches of all files.
#[derive(Clone, Default)]
pub struct Watches(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// Number of files that are watched by events.
    by_events: AtomicUsize,
    /// Files that the polling thread checks; `None` until that thread starts.
    polled: Mutex<Option<Vec<Watch>>>,
}

/// Watch of a file, which ends within a second after this is dropped.
pub struct Watching {
    path: PathBuf,
    mode: Mode,
    ended: Arc<AtomicBool>,
    by_events: Option<Arc<Shared>>,
}

impl Watching {
    /// Returns whether this watches a file in this way.
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
    /// Starts to watch a file and to order swaps. `seen` is the file's stamp before it was
    /// first read.
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
    /// Checks the files that are not watched by events.
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
