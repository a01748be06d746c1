//! Output of log lines: standard error, or a file, which is opened again after another program has
//! rotated it.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use anyhow::{Context, bail};
use rustix::fs::OFlags;

/// Permission bits of a log file that the server creates: the group of the file may read it.
const MODE: u32 = 0o640;

/// Whether the log file is to be opened again before the next write.
static REOPEN: AtomicBool = AtomicBool::new(false);

/// Output of the log.
pub enum Output {
    /// Standard error.
    Standard(io::Stderr),
    /// File to which lines are appended.
    File {
        /// Path of the file.
        path: PathBuf,
        /// Open file at the path.
        file: File,
    },
}

impl Output {
    /// Opens the log file at a path, or standard error without a path.
    ///
    /// # Errors
    ///
    /// When the file cannot be opened, or is not a regular file.
    pub fn new(path: Option<&Path>) -> anyhow::Result<Output> {
        let Some(path) = path else { return Ok(Output::Standard(io::stderr())) };
        // The working folder may change, and SIGUSR1 opens the file again.
        let path = std::path::absolute(path)?;
        let file = open(&path).with_context(|| format!("cannot log to {} (--log-file)", path.display()))?;
        Ok(Output::File { path, file })
    }

    /// Returns whether log lines are shown on a terminal.
    pub fn is_terminal(&self) -> bool {
        matches!(self, Output::Standard(standard) if io::IsTerminal::is_terminal(standard))
    }
}

/// Makes the log open its file again before the next line is written.
pub fn reopen() {
    REOPEN.store(true, Relaxed);
}

fn open(path: &Path) -> anyhow::Result<File> {
    // Opens a pipe without waiting for a reader; the check below refuses it.
    let flags = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().append(true).create(true).mode(MODE).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        bail!("it is no regular file; expected a file, or a name for a new one");
    }
    Ok(file)
}

impl Write for Output {
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        match self {
            Output::Standard(standard) => standard.write(lines),
            Output::File { path, file } => {
                if REOPEN.swap(false, Relaxed) {
                    match open(path) {
                        Ok(opened) => *file = opened,
                        // The old file is better than none.
                        Err(error) => {
                            let path = path.display();
                            writeln!(file, "cannot open {path} again, so this file goes on: {error:#}")?;
                        }
                    }
                }
                file.write(lines)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::Standard(standard) => standard.flush(),
            Output::File { file, .. } => file.flush(),
        }
    }
}
