//! Folder of recorded requests. When the folder is full, the oldest requests are removed, because
//! the newest ones are more likely about the current version.

use std::collections::VecDeque;
use std::path::Path;

use anyhow::{Context, bail};
use tracing::warn;

use crate::files::private_folder::PrivateFolder;
use crate::record::file::is_recorded;

pub(super) struct Folder {
    folder: PrivateFolder,
    files_max: usize,
    bytes_max: usize,
    /// File names and sizes in bytes, oldest file first.
    files: VecDeque<(String, usize)>,
}

impl Folder {
    /// Opens or creates the folder, and lists the recorded requests in it. Files that other users
    /// own or can change are neither counted nor removed.
    pub(super) fn open(path: &Path, files_max: usize, bytes_max: usize) -> anyhow::Result<Folder> {
        let folder = PrivateFolder::open(path)?;
        folder.remove_litter(is_recorded)?;
        let mut files = Vec::new();
        for name in folder.names(is_recorded)? {
            match folder.size(&name) {
                Some(size) => files.push((name, size)),
                None => {
                    warn!(
                        "{} is not a file of this user alone and is left alone",
                        folder.path_of(&name).display()
                    )
                }
            }
        }
        files.sort();
        Ok(Folder { folder, files_max, bytes_max, files: files.into() })
    }

    /// Writes a file atomically. Before that, removes the oldest files until the new file fits
    /// within the limits.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        if bytes.len() > self.bytes_max {
            bail!(
                "a request of {} bytes is larger than the whole folder may be (--record-bytes)",
                bytes.len()
            );
        }
        self.folder.check()?;
        let used = |files: &VecDeque<(String, usize)>| files.iter().map(|(_, size)| size).sum::<usize>();
        while self.files.len() >= self.files_max
            || used(&self.files).saturating_add(bytes.len()) > self.bytes_max
        {
            let Some((oldest, _)) = self.files.pop_front() else {
                break;
            };
            self.folder.remove(&oldest).with_context(|| format!("cannot remove {oldest}"))?;
        }
        let written = self.folder.write(name, bytes);
        written.with_context(|| format!("cannot write {}", self.folder.path_of(name).display()))?;
        self.files.push_back((name.to_owned(), bytes.len()));
        Ok(())
    }
}
