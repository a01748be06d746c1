//! Stamps of files, which detect that the content of a file has changed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Metadata of a file that changes whenever the content of the file changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    device: u64,
    inode: u64,
    /// Size in bytes.
    pub size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

/// Returns the stamp of the file at a path; [`None`] if its metadata cannot be read.
pub fn look(path: &Path) -> Option<FileStamp> {
    let file = path.metadata().ok()?;
    Some(FileStamp {
        device: file.dev(),
        inode: file.ino(),
        size: file.size(),
        modified: (file.mtime(), file.mtime_nsec()),
        changed: (file.ctime(), file.ctime_nsec()),
    })
}
