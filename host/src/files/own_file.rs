//! Opens and checks regular files; a named pipe in place of a file does not block the process.
//! Files that must belong to this user are opened without following symbolic links, and may have no
//! other hard link.

use std::ffi::OsStr;
use std::fs::{File, FileType, Metadata, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::bail;
use rustix::fs::{AtFlags, Mode, OFlags};

/// Mode of new files: read and write for the owner, nothing for others.
pub const FILE_MODE: u32 = 0o600;

/// Maximum time to wait for a lock that another process holds.
pub(crate) const LOCK_TIMEOUT: Duration = Duration::from_millis(500);

/// Time between two attempts to take a lock.
const LOCK_RETRY: Duration = Duration::from_millis(5);

/// Maximum length of a process id in a lock file, in bytes.
const NUMBER_MAX: usize = 16;

/// Lock files that the old process has handed over during an upgrade, and that [`lock`] has not
/// returned yet.
static HANDED: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// Flags for opening a file: a symbolic link is not followed, and a named pipe does not block.
pub const CAREFUL: OFlags =
    OFlags::NOFOLLOW.union(OFlags::NONBLOCK).union(OFlags::NOCTTY).union(OFlags::CLOEXEC);

/// Checks that a file is regular, owned by this user, and has no other hard link.
///
/// # Errors
///
/// One line that says what was found and what was expected.
pub fn check(found: &Metadata) -> io::Result<()> {
    let own = rustix::process::geteuid().as_raw();
    let wrong = |what: String| Err(io::Error::other(what));
    if !found.is_file() {
        return wrong(format!("it is {}; expected a regular file", kind(found.file_type())));
    }
    if found.uid() != own {
        return wrong(format!("it belongs to the user id {}; expected {own}", found.uid()));
    }
    if found.nlink() != 1 {
        return wrong(format!("it has {} names (hard links); expected one", found.nlink()));
    }
    Ok(())
}

/// Returns the name of a file type with its article, such as `a folder`, for messages.
pub fn kind(file: FileType) -> &'static str {
    match file {
        _ if file.is_symlink() => "a symbolic link",
        _ if file.is_dir() => "a folder",
        _ if file.is_fifo() => "a pipe",
        _ if file.is_socket() => "a socket",
        _ if file.is_file() => "a regular file",
        _ => "a device",
    }
}

/// Reads a regular file. The file may belong to any user, and the path may be a symbolic link.
///
/// # Errors
///
/// When the file is not regular, or is longer than `max` bytes.
pub fn read_regular(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags.bits() as i32).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() {
        let what = format!("it is {}; expected a regular file", kind(found.file_type()));
        return Err(io::Error::other(what));
    }
    read_at_most(&file, max)
}

/// Reads an open file from its current position to the end.
///
/// # Errors
///
/// When the file is longer than `max` bytes.
pub fn read_at_most(file: &File, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take((max as u64).saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() <= max {
        true => Ok(bytes),
        false => Err(io::Error::other(format!("it is longer than {max} bytes"))),
    }
}

/// Opens or creates a lock file, and locks it. If the old process has handed this file over during
/// an upgrade, returns that file instead. The lock is held until the returned file is closed, at
/// the latest when the process ends. Messages show the file as `path`.
///
/// # Errors
///
/// When another server holds the lock, or the lock file does not pass [`check`] or cannot be
/// opened.
pub fn lock(folder: impl AsFd, name: &OsStr, path: &Path) -> anyhow::Result<File> {
    if let Some(file) = handed().extract_if(.., |file| is_at(file, folder.as_fd(), name)).next() {
        sign(&file);
        return Ok(file);
    }
    let since = Instant::now();
    loop {
        let file = open_lock(folder.as_fd(), name, path)?;
        match file.try_lock() {
            // A server that ends removes its lock file. If this process opened the file
            // before that, it has locked a file without a name, and tries again.
            Ok(()) if is_at(&file, folder.as_fd(), name) => {
                sign(&file);
                return Ok(file);
            }
            Ok(()) => {}
            // A killed server may have left a child process that inherited the lock
            // and is about to exit.
            Err(TryLockError::WouldBlock) if since.elapsed() < LOCK_TIMEOUT => sleep(LOCK_RETRY),
            Err(TryLockError::WouldBlock) => match holder(&file) {
                Some(own) if own == std::process::id() => bail!("this server still uses it; try again later"),
                Some(other) => {
                    bail!(
                        "another server uses it (process {other}); stop that server, or choose another place"
                    )
                }
                None => bail!("another server uses it; stop that server, or choose another place"),
            },
            Err(TryLockError::Error(error)) => return Err(error.into()),
        }
    }
}

/// Stores a locked file that the old process has handed over during an upgrade. A later [`lock`] of
/// the same file returns it.
pub fn hand(file: File) {
    handed().push(file);
}

/// Releases the locks that the old process has handed over during an upgrade and that [`lock`] has
/// not returned.
pub fn release_rest() {
    handed().clear();
}

fn handed() -> MutexGuard<'static, Vec<File>> {
    HANDED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Writes the id of this process into a lock file. A server that finds the file locked shows the id
/// in its message. Ignores errors, such as a full disk; the message then has no id.
pub fn sign(lock: &File) {
    let own = format!("{}\n", std::process::id());
    let _ = lock.set_len(0).and_then(|()| lock.write_all_at(own.as_bytes(), 0));
}

/// Returns the id of the process that holds a lock, if the lock file contains it.
fn holder(file: &File) -> Option<u32> {
    let text = String::from_utf8(read_at_most(file, NUMBER_MAX).ok()?).ok()?;
    text.trim().parse().ok()
}

/// Removes a lock file that this process has locked, unless `name` is the name of another file by
/// now. A server that waits for the lock then creates a new file.
pub fn remove_lock(folder: impl AsFd, name: &OsStr, lock: &File) {
    if is_at(lock, folder.as_fd(), name) {
        let _ = rustix::fs::unlinkat(folder, name, AtFlags::empty());
    }
}

/// Returns whether `name` in `folder` is the name of the open `file`, and not of another file.
fn is_at(file: &File, folder: BorrowedFd<'_>, name: &OsStr) -> bool {
    let found = rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW);
    let open = rustix::fs::fstat(file);
    matches!((found, open), (Ok(one), Ok(other)) if (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino))
}

fn open_lock(folder: BorrowedFd<'_>, name: &OsStr, path: &Path) -> anyhow::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | CAREFUL;
    let file = rustix::fs::openat(folder, name, flags, Mode::from_raw_mode(FILE_MODE));
    let path = path.display();
    let file = match file {
        Ok(file) => File::from(file),
        Err(rustix::io::Errno::LOOP) => {
            bail!("the lock file {path} is a symbolic link; expected a regular file")
        }
        Err(rustix::io::Errno::ACCESS) => bail!(
            "cannot open the lock file {path}: this user may not write to it, or not to its folder; change the mode or the \
             owner"
        ),
        Err(rustix::io::Errno::NOENT) => {
            bail!(
                "cannot open the lock file {path}: there is no such folder; create it first, or use another"
            )
        }
        Err(rustix::io::Errno::ISDIR) => {
            bail!("cannot use the lock file {path}: it is a folder; expected a regular file")
        }
        Err(error) => bail!("cannot open the lock file {path}: {}", io::Error::from(error)),
    };
    let found = file.metadata()?;
    match check(&found) {
        // Removed since it was opened, by a server that ended.
        Err(_) if found.is_file() && found.nlink() == 0 => Ok(file),
        Err(error) => bail!("cannot use the lock file {path}: {error}"),
        Ok(()) => Ok(file),
    }
}
