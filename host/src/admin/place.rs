//! Path and lock of the control socket. The server locks a file beside the socket while it
//! runs. The kernel releases the lock however the process ends, so a socket whose lock is
//! free is stale and may be replaced.

use std::collections::BTreeSet;
use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use rustix::fs::CWD;

use crate::files::own_file;
use crate::files::private_folder::PrivateFolder;
use crate::net::handed;
use crate::net::listen;
use crate::net::listener::{SocketFile, are_paths_left};
use crate::net::unix_socket::{self, Access, Group};

/// Permission bit of a folder that lets members of its group access the files in it (search
/// permission).
const GROUP_ENTERS: u32 = 0o010;
/// Permission bit of a folder that lets all other users access the files in it (search permission).
const OTHERS_ENTER: u32 = 0o001;

/// Maximum number of entries in the default folder that a search for control sockets looks at.
const ENTRIES_MAX: usize = 1000;

/// Returns the default path of the control socket for a server that listens on `port`.
pub fn default_path(port: u16) -> PathBuf {
    default_folder().join(file_name(port))
}

/// Returns the paths at which a server that listens on `port` may have created its control socket.
/// Begins with the default path. The others are for servers whose environment variables differ from
/// those of this process.
pub fn usual_paths(port: u16) -> Vec<PathBuf> {
    let user = rustix::process::geteuid().as_raw();
    let mut paths = Vec::new();
    for folder in [
        default_folder(),
        format!("/run/user/{user}").into(),
        folder_in(&env::temp_dir()),
        folder_in(Path::new("/tmp")),
    ] {
        let path = folder.join(file_name(port));
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    paths
}

/// Returns the ports in the names of the control sockets in the default folder.
pub fn found_ports() -> BTreeSet<u16> {
    let entries = fs::read_dir(default_folder()).into_iter().flatten();
    let entries = entries.take(ENTRIES_MAX).flatten();
    let sockets = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_socket()));
    let names = sockets.filter_map(|entry| entry.file_name().into_string().ok());
    names.filter_map(|name| name.strip_prefix("host-")?.strip_suffix(".sock")?.parse().ok()).collect()
}

fn file_name(port: u16) -> String {
    format!("host-{port}.sock")
}

fn default_folder() -> PathBuf {
    match env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => folder.into(),
        None => folder_in(&env::temp_dir()),
    }
}

fn folder_in(temporary: &Path) -> PathBuf {
    temporary.join(format!("host-{}", rustix::process::geteuid().as_raw()))
}

/// Bound control socket and its lock, both removed on drop unless a new process has taken them
/// over.
pub struct Bound {
    path: PathBuf,
    socket: Option<SocketFile>,
    lock: Lock,
    has_group: bool,
}

impl Bound {
    /// Returns the path of the control socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the name under which an upgrade hands the control socket to the new process.
    pub fn name(&self) -> String {
        name(&self.path)
    }

    /// Returns the lock file of the control socket.
    pub fn held_lock(&self) -> Option<&File> {
        match &self.lock {
            Lock::InFolder(folder) => folder.held_lock(),
            Lock::Alone { file, .. } => Some(file),
        }
    }

    /// Returns whether members of a group may connect to the control socket (`--control-group`).
    pub fn has_group(&self) -> bool {
        self.has_group
    }
}

/// Lock file beside the control socket. The variant depends on the folder of the socket: the
/// default folder, which the server creates and checks, or a folder that the operator chose.
enum Lock {
    InFolder(PrivateFolder),
    Alone { name: OsString, file: File },
}

impl Drop for Bound {
    fn drop(&mut self) {
        // Removes the socket before the lock file: the next server may bind as soon as
        // the lock file is gone.
        self.socket = None;
        if are_paths_left() {
            return;
        }
        match &mut self.lock {
            Lock::InFolder(folder) => folder.remove_lock(),
            Lock::Alone { name, file } => own_file::remove_lock(CWD, name, file),
        }
    }
}

/// Binds the control socket, or takes it over from the process that this one replaces. Lets this
/// user connect and, if `group` is given, also the members of the group. Replaces a stale socket.
///
/// # Errors
///
/// When a running server holds the lock, the path is something other than a socket,
/// or others can write to the default folder.
pub fn bind(path: &Path, group: Option<&Group>) -> anyhow::Result<(UnixListener, Bound)> {
    bind_at(path, group).with_context(|| {
        format!(
            "cannot bind the control socket {} (choose another with --control, or none with --no-control)",
            path.display()
        )
    })
}

fn bind_at(path: &Path, group: Option<&Group>) -> anyhow::Result<(UnixListener, Bound)> {
    unix_socket::check_length(path)?;
    let lock = lock(path)?;
    let mode = if group.is_some() { 0o660 } else { 0o600 };
    let access = Access { mode: Some(mode), group: group.cloned() };
    let bound = |lock| -> io::Result<Bound> {
        let socket = Some(SocketFile::new(path)?);
        Ok(Bound { path: path.to_owned(), socket, lock, has_group: group.is_some() })
    };
    // Somebody may have removed the path.
    if let Some(socket) = handed::take(&name(path)).pop().filter(|_| path.exists()) {
        unix_socket::give_access(path, &access)?;
        return Ok((socket.into(), bound(lock)?));
    }
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => bail!("the path exists and is not a socket"),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error.into()),
    }
    let listener = unix_socket::bind(path, &access)?;
    let bound = bound(lock)?;
    if let Lock::InFolder(folder) = &bound.lock {
        // Checks the folder again: the bind used its path, which may lead elsewhere now.
        folder.check()?;
    }
    Ok((listener, bound))
}

/// Returns the first folder on the path of a socket that members of a group cannot access, and the
/// mode of the folder; [`None`] if they can access all folders.
pub fn closed_folder(path: &Path, group: u32) -> Option<(PathBuf, u32)> {
    let path = fs::canonicalize(path).ok()?;
    let folders = path.ancestors().skip(1).filter_map(|folder| Some((folder, folder.metadata().ok()?)));
    let closed = folders.filter(|(_, found)| {
        let by_group = found.gid() == group && found.mode() & GROUP_ENTERS != 0;
        !by_group && found.mode() & OTHERS_ENTER == 0
    });
    closed.last().map(|(folder, found)| (folder.to_owned(), found.mode() & 0o7777))
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
    unix_socket::check_path(path)?;
    let name = with_suffix(path.as_os_str());
    let file = own_file::lock(CWD, &name, Path::new(&name))?;
    Ok(Lock::Alone { name, file })
}

fn name(path: &Path) -> String {
    listen::name("--control", &path.display().to_string())
}

fn with_suffix(name: &OsStr) -> OsString {
    let mut name = name.to_owned();
    name.push(".lock");
    name
}
