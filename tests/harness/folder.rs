//! Temporary files and folders of a test.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::scratch;

/// Folder for one test, removed on drop.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("test-{}-{number}", std::process::id());
        let path = scratch().join(name);
        fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Returns the path of a file in the folder, whether it exists or not.
    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Returns the path of a file in the folder as text, for a command line.
    pub fn path(&self, name: &str) -> String {
        self.file(name).into_os_string().into_string().unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// File in a folder of its own. Both are removed on drop.
pub struct TextFile {
    path: String,
    _folder: Folder,
}

impl TextFile {
    pub fn new(bytes: impl AsRef<[u8]>) -> TextFile {
        let folder = Folder::new();
        let path = folder.path("file");
        fs::write(&path, bytes).unwrap();
        TextFile { path, _folder: folder }
    }

    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Makes a named pipe.
pub fn make_pipe(path: impl AsRef<Path>) {
    assert!(Command::new("mkfifo").arg(path.as_ref()).status().unwrap().success());
}

/// Replaces a file atomically: writes another file and renames it.
pub fn rename_over(path: impl AsRef<Path>, bytes: impl AsRef<[u8]>) {
    let new = path.as_ref().with_extension("new");
    fs::write(&new, bytes).unwrap();
    fs::rename(new, path).unwrap();
}
