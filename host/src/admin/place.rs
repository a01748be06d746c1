//! Where the control socket is, and whose it is. A lock beside it says whether
//! its server lives: the kernel gives the lock back when a process ends in any
//! manner, so a socket without a lock is stale and may be replaced.

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
    lock: Lock,
}

/// The lock beside the socket: in the default folder, which is this server's to
/// look after, or wherever the operator wanted the socket.
enum Lock {
    InFolder(PrivateFolder),
    Alone { _file: File },
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
    let lock = lock(path)?;
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => bail!("there is something else at that path"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = UnixListener::bind(path)?;
    let bound = Bound { listener, path: path.to_owned(), lock };
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    bound.listener.set_nonblocking(true)?;
    if let Lock::InFolder(folder) = &bound.lock {
        // It was bound by its path.
        folder.check()?;
    }
    Ok(bound)
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

impl Drop for Bound {
    fn drop(&mut self) {
        // The lock's file stays: taking it away would let two servers each hold
        // a lock on a file of that name.
        let _ = fs::remove_file(&self.path);
    }
}
