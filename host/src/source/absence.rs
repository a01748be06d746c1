//! Detects that the module file stays missing or unreadable for longer than an editor or a compiler
//! takes to replace it.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{Access, AtFlags, CWD};
use tracing::{info, warn};

/// Time for which the module file must be missing or unreadable before the absence is logged.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether the module file is missing or unreadable, and since when.
#[derive(Debug, Default)]
pub(super) struct Absence {
    since: Option<Instant>,
    is_logged: bool,
}

impl Absence {
    /// Checks the module file. Logs once that the file is missing or unreadable, and once that it
    /// is back. `serving` returns the number of the current version.
    pub(super) fn look(&mut self, path: &Path, serving: impl FnOnce() -> u64) {
        let Err(error) = check(path) else {
            if self.is_logged {
                info!("the module file {} can be read again", path.display());
            }
            *self = Absence::default();
            return;
        };
        let since = *self.since.get_or_insert_with(Instant::now);
        if !self.is_logged && since.elapsed() >= PATIENCE {
            self.is_logged = true;
            let serving = serving();
            warn!(
                cause = error,
                "cannot read the module file {}: version {serving} goes on serving",
                path.display()
            );
        }
    }
}

/// Checks that the module file can be read. Does not open the file, because opening causes
/// file-system events, which the watch would receive.
fn check(path: &Path) -> Result<(), String> {
    let readable = path.metadata().and_then(|found| match found.is_dir() {
        true => Err(io::Error::other("it is a folder; expected a .wasm or .wat file")),
        false => Ok(rustix::fs::accessat(CWD, path, Access::READ_OK, AtFlags::EACCESS)?),
    });
    readable.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => "there is no such file; expected a .wasm or .wat file".into(),
        io::ErrorKind::PermissionDenied => "this user may not read it; change its mode or its owner".into(),
        _ => error.to_string(),
    })
}
