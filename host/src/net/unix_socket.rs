//! Parses addresses of Unix sockets, and binds the sockets. The mode and the group of the socket
//! file say who may connect. They are set before the socket listens, so that nobody else can
//! connect in the meantime.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow, bail};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::net::listener::PROXY;

/// Backlog of each listener: maximum number of connections that wait to be accepted. The kernel
/// reduces it to net.core.somaxconn, which is usually 4096.
pub(crate) const BACKLOG: i32 = 4096;

/// Maximum length of the path of a Unix socket, in bytes. The limit in unix(7) is 108 with the
/// final NUL.
pub(crate) const PATH_MAX: usize = 107;

/// Options of TCP addresses, which have no meaning at a Unix socket.
const OF_TCP: [&str; 3] = ["tls", "redirect", "plain"];

/// Largest mode of a socket file: all permissions for everybody.
const MODE_MAX: u32 = 0o777;

/// Group of a socket file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Id of the group.
    pub id: u32,
    /// Name or number of the group, as given on the command line.
    pub given: String,
}

/// Mode and group of a socket file, which say who may connect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Mode of the socket file; by default, the umask decides.
    pub mode: Option<u32>,
    /// Group of the socket file; by default, the group of the process.
    pub group: Option<Group>,
}

/// Parses `PATH[,mode=MODE][,group=GROUP][,proxy]`. The path may contain commas, because options
/// are parsed from the end. Returns the path, the access, and whether connections begin with a
/// PROXY protocol header.
///
/// # Errors
///
/// One line that says which part is missing or wrong.
pub fn parse(text: &str) -> anyhow::Result<(PathBuf, Access, bool)> {
    let (mut path, mut access, mut has_header) = (text, Access::default(), false);
    while let Some((rest, option)) = path.rsplit_once(',') {
        if let Some(mode) = option.strip_prefix("mode=") {
            access.mode = Some(parse_mode(mode)?);
        } else if let Some(name) = option.strip_prefix("group=") {
            access.group = Some(group(name).map_err(|error| anyhow!(error))?);
        } else if option == PROXY {
            has_header = true;
        } else if OF_TCP.contains(&option) {
            bail!(
                "found the option `{option}` behind the path; expected mode=0660, group=NAME or {PROXY}; TLS is spoken at \
                 HOST:PORT only"
            );
        } else if option.contains('=') && !option.contains('/') {
            bail!("found the option `{option}` behind the path; expected mode=0660, group=NAME or {PROXY}");
        } else {
            break;
        }
        path = rest;
    }
    if path.is_empty() {
        bail!("the path of the socket is missing; expected for example unix:/run/host/http.sock");
    }
    Ok((path.into(), access, has_header))
}

fn parse_mode(text: &str) -> anyhow::Result<u32> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= MODE_MAX);
    mode.with_context(|| format!("mode: found `{text}`; expected three octal digits, such as 0660"))
}

/// Parses a group, which is given by name or number.
///
/// # Errors
///
/// When the system has no group with this name.
pub fn group(name: &str) -> Result<Group, String> {
    let group = |id| Group { id, given: name.into() };
    if let Ok(id) = name.parse() {
        return Ok(group(id));
    }
    match nix::unistd::Group::from_name(name) {
        Ok(Some(found)) => Ok(group(found.gid.as_raw())),
        Ok(None) => {
            Err("expected the name or the number of a group that this machine has (getent group)".into())
        }
        Err(error) => Err(format!("cannot look the group up: {error}")),
    }
}

/// Checks that a socket can be created at a path: the length of the path, and that the folder
/// exists.
///
/// # Errors
///
/// One line that says what is wrong with the path.
pub fn check_path(path: &Path) -> anyhow::Result<()> {
    check_length(path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder.filter(|folder| !folder.is_dir()) {
        bail!("there is no folder {}; create it first, or use another", folder.display());
    }
    Ok(())
}

/// Checks that a path is not empty and is short enough for the address of a socket.
///
/// # Errors
///
/// One line that says how long the path is and how long it may be.
pub fn check_length(path: &Path) -> anyhow::Result<()> {
    let length = path.as_os_str().as_bytes().len();
    if length == 0 {
        bail!("the path of the socket is missing; expected for example unix:/run/host/http.sock");
    }
    if length > PATH_MAX {
        bail!(
            "the path has {length} bytes; expected at most {PATH_MAX}, which is the system's limit; use a shorter one"
        );
    }
    Ok(())
}

/// Binds a socket to a path at which nothing exists, and listens on it.
///
/// # Errors
///
/// One line that says why the path cannot be used.
pub fn bind(path: &Path, access: &Access) -> anyhow::Result<UnixListener> {
    check_path(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.bind(&SockAddr::unix(path)?).map_err(|error| unusable(path, error))?;
    let prepared = prepare(&socket, path, access);
    if prepared.is_err() {
        let _ = fs::remove_file(path);
    }
    prepared?;
    Ok(socket.into())
}

fn prepare(socket: &Socket, path: &Path, access: &Access) -> anyhow::Result<()> {
    give_access(path, access)?;
    socket.listen(BACKLOG)?;
    socket.set_nonblocking(true)?;
    Ok(())
}

/// Sets the mode and the group of the socket file at a path, if `access` contains them.
///
/// # Errors
///
/// One line that says why the system does not allow it.
pub fn give_access(path: &Path, access: &Access) -> anyhow::Result<()> {
    if let Some(Group { id, given }) = &access.group {
        chown(path, None, Some(*id)).with_context(|| {
            format!("cannot give the socket to the group {given}; expected a group of this user (id -Gn)")
        })?;
    }
    if let Some(mode) = access.mode {
        fs::set_permissions(path, fs::Permissions::from_mode(mode))
            .context("cannot set the mode of the socket")?;
    }
    Ok(())
}

fn unusable(path: &Path, error: io::Error) -> anyhow::Error {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match error.kind() {
        ErrorKind::AddrInUse => anyhow!("the path exists and is not a socket"),
        ErrorKind::PermissionDenied => {
            anyhow!(
                "this user may not create a socket in the folder {}; change its mode, or use another",
                folder.display()
            )
        }
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, Group, parse};

    #[test]
    fn options_stand_at_the_end_of_an_address() {
        let zero = Group { id: 0, given: "0".into() };
        let access = |mode, group: Option<&Group>| Access { mode, group: group.cloned() };
        for (text, path, expected, has_header) in [
            ("/a", "/a", access(None, None), false),
            ("/a,mode=0660", "/a", access(Some(0o660), None), false),
            ("/a,group=0", "/a", access(None, Some(&zero)), false),
            ("/a,group=0,mode=666", "/a", access(Some(0o666), Some(&zero)), false),
            ("/a,b", "/a,b", access(None, None), false),
            ("/a,b,proxy", "/a,b", access(None, None), true),
            ("/a,proxy,mode=0660", "/a", access(Some(0o660), None), true),
            ("/a,mode=0660/b", "/a,mode=0660/b", access(None, None), false),
        ] {
            match text.ends_with("/b") {
                true => assert!(parse(text).is_err(), "{text}"),
                false => assert_eq!(parse(text).unwrap(), (path.into(), expected, has_header), "{text}"),
            }
        }
        for wrong in ["/a,tls", "/a,redirect", "/a,plain,proxy", "/a,mode=0660,tls"] {
            let said = parse(wrong).unwrap_err().to_string();
            assert!(said.ends_with("or proxy; TLS is spoken at HOST:PORT only"), "{wrong}: {said}");
        }
        for wrong in ["", ",mode=0660", "/a,mode=888", "/a,mode=7777", "/a,mode=", "/a,group=no such group"] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
