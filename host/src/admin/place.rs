//! Path and ownership of the control socket. A lock file beside the socket is held
//! while its server runs: the kernel releases the lock however the process ends, so
//! a socket without a lock is stale and may be replaced.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::CWD;

use crate::files::own_file;
use crate::files::private_folder::PrivateFolder;
use crate::net::listener::SocketFile;

/// Returns the default path of the control socket of the server on this port.
pub fn default_path(port: u16) -> PathBuf {
    default_folder().join(format!("host-{port}.sock"))
}

fn default_folder() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => std::env::temp_dir().join(format!("host-{}", rustix::process::geteuid().as_raw())),
    }
}

/// Path of a bound control socket, removed on drop, and its lock. The lock file
/// stays: removing it would let two servers each hold a lock on a file of that name.
pub struct Bound {
    // Dropped in this order: the path is removed while the lock is held.
    _path: SocketFile,
    lock: Lock,
}

/// Lock beside the socket: in the default folder, which the server creates and
/// checks, or in a folder that the operator chose.
enum Lock {
    InFolder(PrivateFolder),
    Alone { _file: File },
}

/// Binds the control socket, replacing a stale one.
///
/// # Errors
///
/// When a running server holds the lock, the path is something else than a socket,
/// or others can write to the default folder.
pub fn bind(path: &Path) -> anyhow::Result<(UnixListener, Bound)> {
    bind_at(path).with_context(|| {
        format!(
            "cannot bind the control socket {} (choose another with --control, or none with --no-control)",
            path.display()
        )
    })
}

fn bind_at(path: &Path) -> anyhow::Result<(UnixListener, Bound)> {
    let lock = lock(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => bail!("the path exists and is not a socket"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = UnixListener::bind(path)?;
    let bound = Bound { _path: SocketFile::new(path)?, lock };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    if let Lock::InFolder(folder) = &bound.lock {
        // The socket was bound by its path, so the folder is checked again.
        folder.check()?;
    }
    Ok((listener, bound))
}

fn lock(path: &Path) -> anyhow::Result<Lock> {
    if let (Some(folder), Some(name)) = (path.parent(), path.file_name())
        && folder == default_folder()
    {
        let context = || format!("cannot use the folder {}", folder.display());
        let mut folder = PrivateFolder::open(folder).with_context(context)?;
        folder.lock(&with_suffix(name))?;
        return Ok(Lock::InFolder(folder));
    }
    Ok(Lock::Alone { _file: own_file::lock(CWD, &with_suffix(path.as_os_str()))? })
}

fn with_suffix(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(".lock");
    name
}
