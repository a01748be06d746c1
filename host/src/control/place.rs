//! Where the control socket is, and whose it is. A lock beside it says whether
//! its server lives: the kernel gives the lock back when a process ends in any
//! manner, so a socket without a lock is stale and may be replaced.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// Read, write and search for the owner, nothing for others.
const OWNER_ONLY: u32 = 0o700;

/// The socket of the server on this port, where nothing else was said.
pub fn default_path(port: u16) -> PathBuf {
    default_folder().join(format!("host-{port}.sock"))
}

fn default_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => std::env::temp_dir().join(format!("host-{}", rustix::process::geteuid().as_raw())),
    }
}

/// A socket that is bound, and taken away when this is dropped.
pub struct Bound {
    /// Where connections come in.
    pub listener: UnixListener,
    path: PathBuf,
    /// Held for as long as the socket is used.
    _lock: File,
}

/// Binds the control socket, in place of a stale one.
///
/// # Errors
///
/// When a living server has it, when something else is in its place, or when
/// its folder is open to others.
pub fn bind(path: &Path) -> anyhow::Result<Bound> {
    bind_at(path).with_context(|| {
        format!(
            "cannot have the control socket {} (--control takes another, --no-control none)",
            path.display()
        )
    })
}

fn bind_at(path: &Path) -> anyhow::Result<Bound> {
    if let Some(folder) = path.parent().filter(|folder| **folder == default_folder()) {
        make_private(folder)?;
    }
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    // A link that somebody else has put there is not followed.
    let lock = options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits() as i32).open(&lock_path)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => bail!("another server uses it"),
        Err(TryLockError::Error(error)) => return Err(error.into()),
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => bail!("there is something else at that path"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = UnixListener::bind(path)?;
    let bound = Bound { listener, path: path.to_owned(), _lock: lock };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    bound.listener.set_nonblocking(true)?;
    Ok(bound)
}

/// Makes the folder, or checks that nobody else can use what is in it.
fn make_private(folder: &Path) -> anyhow::Result<()> {
    match DirBuilder::new().mode(OWNER_ONLY).create(folder) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error.into()),
        _ => {}
    }
    let found = fs::symlink_metadata(folder)?;
    let own = rustix::process::geteuid().as_raw();
    if !found.is_dir() || found.uid() != own {
        bail!("{} is not a folder of this user's", folder.display());
    }
    if found.mode() & 0o022 != 0 {
        bail!("the folder {} can be written by others", folder.display());
    }
    Ok(())
}

impl Drop for Bound {
    fn drop(&mut self) {
        // The lock's file stays: taking it away would let two servers each hold
        // a lock on a file of that name.
        let _ = fs::remove_file(&self.path);
    }
}
