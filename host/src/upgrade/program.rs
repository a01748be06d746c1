//! Finds the program that an upgrade starts: the file from whose path this process was started,
//! even if the file was replaced since.

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Program that an upgrade starts, and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    /// Path of the program. It may contain symbolic links, which are resolved only when an upgrade
    /// starts the program, so that they can be redirected to a newer program.
    pub path: PathBuf,
    /// Arguments of the program, without its name.
    pub arguments: Vec<OsString>,
}

impl Program {
    /// Returns the program that this process was started from.
    pub fn own() -> Program {
        let mut arguments = env::args_os();
        let name = arguments.next().unwrap_or_default();
        Program { path: path(&name), arguments: arguments.collect() }
    }
}

/// Returns the absolute path of the program that was started as `name`, which is searched in `PATH`
/// if it has no `/`. If there is no such program, returns the path of the running executable.
fn path(name: &OsStr) -> PathBuf {
    let found = match name.as_bytes().contains(&b'/') {
        true => std::path::absolute(name).ok(),
        false => {
            let folders = env::var_os("PATH").unwrap_or_default();
            env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| is_program(path))
        }
    };
    // A name that leads to no program was made up by whoever started this one.
    found.filter(|path| is_program(path)).or_else(|| env::current_exe().ok()).unwrap_or_else(|| name.into())
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::path;

    #[test]
    fn a_name_leads_to_a_path() {
        assert_eq!(path("/bin/sh".as_ref()), Path::new("/bin/sh"));
        assert!(path("sh".as_ref()).ends_with("bin/sh"));
        assert_eq!(path("/no/such/program".as_ref()), std::env::current_exe().unwrap());
        assert_eq!(path("no such program".as_ref()), std::env::current_exe().unwrap());
    }
}
