//! Watches the sources of a crate: all folders below it, except those of version control and of
//! editors, and those that hold build output.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use notify::event::{AccessKind, AccessMode, Event, EventKind, ModifyKind};
use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

/// Debounce time before a build: editors write a file in several steps, and several
/// files at once.
const DEBOUNCE: Duration = Duration::from_millis(50);

/// File that Cargo writes during a build. It does not count as a source, because each build would
/// cause another one.
const LOCK_FILE: &str = "Cargo.lock";

/// File in which macOS stores the view settings of a folder.
const FOLDER_VIEW: &str = ".DS_Store";

/// File that marks a folder of build output. Cargo creates it.
const CACHE_TAG: &str = "CACHEDIR.TAG";

/// Names of folders (or files in their place) in which version control and editors store their own
/// data. Changes in them do not change the crate.
const NOT_OF_THE_CRATE: [&str; 9] = [".git", ".hg", ".svn", ".jj", ".bzr", ".idea", ".vscode", ".vs", ".zed"];

/// Name prefixes of temporary files: lock files of Emacs, files that GTK writes before it renames
/// them, and files that were removed while they were open (NFS, FUSE).
const PUT_ASIDE: [&str; 5] = [".#", "#", ".goutputstream-", ".nfs", ".fuse_hidden"];

/// Name suffixes of hidden files in which editors keep unsaved changes, such as `.lib.rs.swp`.
const UNSAVED: [&str; 5] = [".swp", ".swo", ".swn", ".swx", ".kate-swp"];

/// Watcher of the source folders of crates.
pub(super) struct Sources {
    watcher: RecommendedWatcher,
    events: UnboundedReceiver<notify::Result<Event>>,
    folders: BTreeSet<PathBuf>,
    own: OwnFiles,
}

/// Files that this process writes: its standard output and error, and its log. They are no sources,
/// because the log line about each build would cause another build.
struct OwnFiles {
    /// Device and inode of standard output and standard error.
    standard: Vec<(u64, u64)>,
    log: Option<PathBuf>,
}

impl OwnFiles {
    fn new(log: Option<PathBuf>) -> OwnFiles {
        let of =
            |file: BorrowedFd<'_>| rustix::fs::fstat(file).ok().map(|found| (found.st_dev, found.st_ino));
        let standard = [of(io::stdout().as_fd()), of(io::stderr().as_fd())];
        OwnFiles { standard: standard.into_iter().flatten().collect(), log }
    }

    fn has(&self, path: &Path) -> bool {
        let inode = |path: &Path| path.metadata().ok().map(|found| (found.dev(), found.ino()));
        let Some(found) = inode(path) else { return false };
        self.standard.contains(&found) || self.log.as_deref().and_then(inode) == Some(found)
    }
}

impl Sources {
    /// Creates a watcher that watches no folder yet. `log` is the file to which this process logs, if
    /// there is one.
    pub(super) fn new(log: Option<PathBuf>) -> anyhow::Result<Sources> {
        let (send, events) = unbounded_channel();
        let watcher = notify::recommended_watcher(move |event| {
            let _ = send.send(event);
        });
        Ok(Sources {
            watcher: watcher.context(CANNOT_WATCH)?,
            events,
            folders: BTreeSet::new(),
            own: OwnFiles::new(log),
        })
    }

    /// Watches a folder and its current subfolders, except those that hold no sources.
    pub(super) fn watch(&mut self, folder: &Path) -> anyhow::Result<()> {
        let mut remaining = vec![folder.to_owned()];
        while let Some(folder) = remaining.pop() {
            if !self.folders.contains(&folder) {
                let watched = self.watcher.watch(&folder, RecursiveMode::NonRecursive);
                watched.with_context(|| format!("{CANNOT_WATCH} of {}", folder.display()))?;
                self.folders.insert(folder.clone());
            }
            // A folder that was just removed counts as empty.
            for entry in fs::read_dir(&folder).into_iter().flatten().flatten() {
                let path = entry.path();
                if entry.file_type().is_ok_and(|kind| kind.is_dir()) && is_source(&path) {
                    remaining.push(path);
                }
            }
        }
        Ok(())
    }

    /// Waits until a source file changes, and then until no further event arrives within
    /// [`DEBOUNCE`].
    pub(super) async fn changed(&mut self) -> anyhow::Result<()> {
        loop {
            let Some(event) = self.events.recv().await else {
                bail!("{CANNOT_WATCH}: the event stream has ended");
            };
            self.forget_moved(&event);
            if matters(&event, &self.own) {
                break;
            }
        }
        while let Ok(Some(event)) = timeout(DEBOUNCE, self.events.recv()).await {
            self.forget_moved(&event);
        }
        Ok(())
    }

    /// Ends the watches of folders that were removed or renamed, with their subfolders: a watch
    /// follows its folder to another name, and a new folder of the old name needs a watch of its
    /// own. If events were lost, ends all watches. The next call of [`Sources::watch`] begins those
    /// that are missing.
    fn forget_moved(&mut self, event: &notify::Result<Event>) {
        let moved = match event {
            Ok(Event {
                kind: EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)), paths, ..
            }) => paths.as_slice(),
            Ok(_) => return,
            Err(_) => &[],
        };
        let is_moved = |folder: &PathBuf| event.is_err() || moved.iter().any(|path| folder.starts_with(path));
        for folder in self.folders.extract_if(.., is_moved) {
            // The watch of a removed folder has ended already.
            let _ = self.watcher.unwatch(&folder);
        }
    }
}

const CANNOT_WATCH: &str = "cannot watch the sources";

fn matters(event: &notify::Result<Event>, own: &OwnFiles) -> bool {
    let Ok(Event { kind, paths, .. }) = event else {
        // Events were lost.
        return true;
    };
    let changes = match kind {
        EventKind::Access(access) => *access == AccessKind::Close(AccessMode::Write),
        EventKind::Modify(ModifyKind::Metadata(_)) => false,
        _ => true,
    };
    changes && (paths.is_empty() || paths.iter().any(|path| is_source(path) && !own.has(path)))
}

/// Returns whether a path may be a source file or a folder of sources. Files of version control,
/// temporary files of editors and build output are not sources. Hidden files such as
/// `.cargo/config.toml` may be sources.
fn is_source(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let is_unsaved = name.starts_with('.') && UNSAVED.iter().any(|end| name.ends_with(end));
    let is_put_aside = PUT_ASIDE.iter().any(|start| name.starts_with(start));
    let is_backup = is_unsaved || is_put_aside || name.ends_with('~') || name == LOCK_FILE;
    let is_other = NOT_OF_THE_CRATE.contains(&&*name) || name == FOLDER_VIEW;
    // Cargo first creates the folder with a suffix of six characters.
    let is_target = name
        .strip_prefix("target")
        .is_some_and(|rest| rest.is_empty() || (rest.len() == 6 && !path.exists()));
    !is_backup && !is_other && !is_target && !path.join(CACHE_TAG).exists()
}

#[cfg(test)]
mod tests {
    use super::{OwnFiles, is_source};
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_log_of_this_process_is_no_source() {
        let folder = std::env::temp_dir().join(format!("sources-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [log, source] = ["dev.txt", "lib.rs"].map(|name| folder.join(name));
        for path in [&log, &source] {
            fs::write(path, "").unwrap();
        }
        let own = OwnFiles::new(Some(log.clone()));
        assert!(own.has(&log) && !own.has(&source) && !own.has(&folder.join("gone")));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn what_is_built_and_what_editors_put_aside_is_no_source() {
        for name in [
            "lib.rs",
            "targets",
            "target.rs",
            "about.html",
            "Cargo.toml",
            ".cargo",
            ".well-known",
            ".env",
            ".gitignore",
            "notes.swp",
        ] {
            assert!(is_source(Path::new("/no/such").join(name).as_path()), "{name}");
        }
        for name in [
            "target",
            "targetAb12cd",
            ".git",
            ".lib.rs.swp",
            ".#lib.rs",
            "#lib.rs#",
            ".goutputstream-AB12CD",
            ".idea",
            ".DS_Store",
            "lib.rs~",
            "Cargo.lock",
        ] {
            assert!(!is_source(Path::new("/no/such").join(name).as_path()), "{name}");
        }
    }
}
