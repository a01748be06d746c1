//! Access to a control socket: explains why a server cannot be reached, and checks who owns the
//! server.

use std::fs::{self, Metadata};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use rustix::fs::{Access, AtFlags, CWD};
use rustix::io::Errno;

/// User id of root.
const ROOT: u32 = 0;

/// Permission bit of a socket that lets members of its group connect.
const GROUP_WRITES: u32 = 0o020;

/// Permission bit of a folder that lets members of its group access the files in it (search
/// permission).
const GROUP_ENTERS: u32 = 0o010;

/// Returns an error that explains why a control socket cannot be reached, and what to do.
pub(super) fn unreachable(socket: &Path, error: &io::Error) -> anyhow::Error {
    let path = socket.display();
    match error.kind() {
        ErrorKind::NotFound => {
            anyhow!(
                "there is no socket {path}; expected that of a running server, which its ready banner names"
            )
        }
        ErrorKind::ConnectionRefused if !is_socket(socket) => {
            anyhow!("{path} is no socket; expected that of a running server, which its ready banner names")
        }
        ErrorKind::ConnectionRefused => {
            anyhow!("no server answers at {path}: the one that made this socket has ended; start it again")
        }
        ErrorKind::PermissionDenied => anyhow!("permission denied for {path}: {}", denied(socket)),
        ErrorKind::WouldBlock => anyhow!("the server at {path} accepts no connection (--timeout)"),
        _ => anyhow!("cannot connect to {path}: {error}"),
    }
}

fn is_socket(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Explains why this user may not connect to a control socket, and what to do.
fn denied(socket: &Path) -> String {
    if let Some(folder) = closed_folder(socket) {
        let shown = folder.display();
        return match fs::metadata(&folder) {
            Ok(found) if found.mode() & GROUP_ENTERS != 0 => format!(
                "this user may not enter the folder {shown} (mode {:04o}, group {group}); join the group {group}, or open \
                 the folder",
                mode(&found),
                group = group_of(&found)
            ),
            Ok(found) => format!(
                "this user may not enter the folder {shown} (mode {:04o}, user id {}); run the command as that user or \
                 as root, or open the folder",
                mode(&found),
                found.uid()
            ),
            Err(_) => format!("this user may not enter the folder {shown}; open it"),
        };
    }
    let open = fs::symlink_metadata(socket).ok().filter(|found| found.mode() & GROUP_WRITES != 0);
    let remedy = match open {
        Some(found) => format!("or join its group {}", group_of(&found)),
        None => "or start the server with --control-group".into(),
    };
    format!("it belongs to another user; run the command as that user or as root, {remedy}")
}

/// Returns the first folder on the path of a socket that this user may not access.
fn closed_folder(socket: &Path) -> Option<PathBuf> {
    let path = std::path::absolute(socket).ok()?;
    let folders: Vec<_> = path.ancestors().skip(1).collect();
    let is_closed = |folder: &&&Path| {
        rustix::fs::accessat(CWD, **folder, Access::EXEC_OK, AtFlags::EACCESS) == Err(Errno::ACCESS)
    };
    folders.iter().rev().find(is_closed).map(|folder| folder.to_path_buf())
}

fn mode(found: &Metadata) -> u32 {
    found.mode() & 0o7777
}

/// Returns the name of the group that a file belongs to, or the id of the group if it has no name.
fn group_of(found: &Metadata) -> String {
    let group = nix::unistd::Group::from_gid(found.gid().into()).ok().flatten();
    group.map_or_else(|| found.gid().to_string(), |group| group.name)
}

/// Checks that the server at the other end of `stream` runs as this user or as root, because a
/// server of another user could accept a module and only pretend to serve it. If this user has
/// named `path` explicitly (`is_chosen`), also accepts a socket that is open to a group of this
/// user; root may then use any socket.
pub(super) fn check_owner(stream: &UnixStream, path: &Path, is_chosen: bool) -> anyhow::Result<()> {
    // Not by rustix, which reads no process number of 0: that of a server in another PID namespace.
    let peer = getsockopt(stream, PeerCredentials).context("cannot determine the owner of the server")?;
    let (user, own) = (peer.uid(), rustix::process::geteuid());
    let is_open_to_us = || is_chosen && (own.is_root() || is_open_to_group(path, user));
    if user == own.as_raw() || user == ROOT || is_open_to_us() {
        return Ok(());
    }
    bail!(
        "the server at {} belongs to the user id {}; expected this user or root, or a socket named by --control \
         that is open to a group of this user (--control-group of the server)",
        path.display(),
        user
    )
}

/// Returns whether the socket at `path` belongs to `user` and allows a group of this process to
/// connect.
fn is_open_to_group(path: &Path, user: u32) -> bool {
    let groups = rustix::process::getgroups().unwrap_or_default();
    let is_ours = |group: u32| {
        group == rustix::process::getegid().as_raw() || groups.iter().any(|each| each.as_raw() == group)
    };
    fs::symlink_metadata(path)
        .is_ok_and(|found| found.uid() == user && found.mode() & GROUP_WRITES != 0 && is_ours(found.gid()))
}
