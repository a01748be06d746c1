//! The folder for recorded requests, which is kept within its bounds: what is
//! newest is about the version that serves, so the oldest go.

use std::collections::VecDeque;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::file::is_recorded;

pub(super) struct Folder {
    path: PathBuf,
    files_max: usize,
    bytes_max: usize,
    /// What is in it, oldest first, with sizes in bytes.
    files: VecDeque<(String, usize)>,
}

impl Folder {
    /// Opens a folder, or makes it, for its owner alone.
    pub(super) fn open(path: &Path, files_max: usize, bytes_max: usize) -> io::Result<Folder> {
        DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        let mut files = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str().filter(|name| is_recorded(name)) {
                files.push((name.to_owned(), usize::try_from(entry.metadata()?.len()).unwrap_or(usize::MAX)));
            }
        }
        files.sort();
        Ok(Folder { path: path.to_owned(), files_max, bytes_max, files: files.into() })
    }

    /// Writes a file, whole or not at all, and makes room for it before.
    pub(super) fn write(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        if bytes.len() > self.bytes_max {
            bail!("one of {} bytes is larger than all may be together (--record-bytes)", bytes.len());
        }
        let used = |files: &VecDeque<(String, usize)>| files.iter().map(|(_, size)| size).sum::<usize>();
        while self.files.len() >= self.files_max
            || used(&self.files).saturating_add(bytes.len()) > self.bytes_max
        {
            let Some((oldest, _)) = self.files.pop_front() else {
                break;
            };
            match fs::remove_file(self.path.join(&oldest)) {
                // Somebody else may have done that.
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(error).with_context(|| format!("cannot remove {oldest}"));
                }
                _ => {}
            }
        }
        let (path, aside) = (self.path.join(name), self.path.join(format!(".{name}.tmp")));
        let written = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&aside);
        let written =
            written.and_then(|mut file| file.write_all(bytes)).and_then(|()| fs::rename(&aside, &path));
        if let Err(error) = written {
            let _ = fs::remove_file(&aside);
            return Err(error).with_context(|| format!("cannot write {}", path.display()));
        }
        self.files.push_back((name.to_owned(), bytes.len()));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::Folder;

    #[test]
    fn the_oldest_go_when_there_are_too_many_or_too_large_ones() {
        let path = std::env::temp_dir().join(format!("recordings-{}", std::process::id()));
        let names = || {
            let mut names: Vec<_> =
                std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names.iter().map(|name| name.to_str().unwrap()[12..14].to_owned()).collect::<Vec<_>>().concat()
        };
        let name = |n: usize| format!("{n:013}-x.fault.http");
        let mut folder = Folder::open(&path, 3, 100).unwrap();
        for n in 1..=4 {
            folder.write(&name(n), &[0; 20]).unwrap();
        }
        assert_eq!(names(), "2-3-4-");
        // Another process begins with what there is.
        let mut folder = Folder::open(&path, 3, 100).unwrap();
        folder.write(&name(5), &[0; 70]).unwrap();
        assert_eq!(names(), "4-5-");
        assert!(folder.write(&name(6), &[0; 101]).is_err());
        assert_eq!(names(), "4-5-");
        std::fs::remove_dir_all(path).unwrap();
    }
}
