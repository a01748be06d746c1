//! Who notices that the sources of a crate have changed. All folders below it
//! are watched but those that hold what is built.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// How long it has to be quiet before something is built: editors write a file
/// in several steps, and several files at once.
const QUIET: Duration = Duration::from_millis(50);

/// What Cargo writes itself.
const LOCK_FILE: &str = "Cargo.lock";

/// What is in every folder that holds what is built, as Cargo makes them.
const MARK_OF_CACHES: &str = "CACHEDIR.TAG";

/// The folders of crates, being watched.
pub(super) struct Sources {
    watcher: RecommendedWatcher,
    events: UnboundedReceiver<notify::Result<Event>>,
    folders: BTreeSet<PathBuf>,
}

impl Sources {
    pub(super) fn new() -> anyhow::Result<Sources> {
        let (send, events) = unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = send.send(event);
        });
        Ok(Sources { watcher: watcher.context(CANNOT)?, events, folders: BTreeSet::new() })
    }

    /// Watches a folder and all below it, as they are now.
    pub(super) fn watch(&mut self, folder: &Path) -> anyhow::Result<()> {
        let mut ahead = vec![folder.to_owned()];
        while let Some(folder) = ahead.pop() {
            if !self.folders.contains(&folder) {
                let watched = self.watcher.watch(&folder, RecursiveMode::NonRecursive);
                watched.with_context(|| format!("{CANNOT} of {}", folder.display()))?;
                self.folders.insert(folder.clone());
            }
            // What has just gone has nothing in it.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_source(&path) {
                    ahead.push(path);
                }
            }
        }
        Ok(())
    }

    /// Waits until something has changed, and it is quiet again.
    pub(super) async fn changed(&mut self) -> anyhow::Result<()> {
        loop {
            let Some(event) = self.events.recv().await else {
                bail!("{CANNOT}: the watch has ended");
            };
            if matters(&event) {
                break;
            }
        }
        while let Ok(Some(event)) = timeout(QUIET, self.events.recv()).await {
            // A folder that is made anew is watched anew.
            if let Ok(Event { kind: EventKind::Remove(_), paths, .. }) = event {
                self.folders.retain(|folder| !paths.contains(folder));
            }
        }
        Ok(())
    }
}

const CANNOT: &str = "cannot watch the sources";

fn matters(event: &notify::Result<Event>) -> bool {
    let Ok(Event { kind, paths, .. }) = event else {
        // Events were lost.
        return true;
    };
    let changes = match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    };
    changes && (paths.is_empty() || paths.iter().any(|path| is_source(path)))
}

/// Whether somebody may have written it: not what is hidden, what an editor
/// puts aside, or what is built.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_aside = name.starts_with('.') || name.ends_with('~') || name == LOCK_FILE;
    // Cargo makes the folder under a name of its own first: with six letters more.
    let is_target = name
        .strip_prefix("target")
        .is_some_and(|rest| rest.is_empty() || (rest.len() == 6 && !path.exists()));
    !is_aside && !is_target && !path.join(MARK_OF_CACHES).exists()
}

#[cfg(test)]
mod tests {
    use super::is_source;
    use std::path::Path;

    #[test]
    fn what_is_built_and_what_editors_put_aside_is_no_source() {
        for name in ["lib.rs", "targets", "target.rs", "about.html", "Cargo.toml"] {
            assert!(is_source(Path::new("/no/such").join(name).as_path()), "{name}");
        }
        for name in ["target", "targetAb12cd", ".git", ".lib.rs.swp", "lib.rs~", "Cargo.lock"] {
            assert!(!is_source(Path::new("/no/such").join(name).as_path()), "{name}");
        }
    }
}
