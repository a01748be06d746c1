//! Reads the module that a command sends to a server: a file, a pipe or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use anyhow::{Context, bail};
use bytesize::ByteSize;

use crate::site::version::{Origin, hint};

/// Name that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// Checks that a module file exists, so that a missing file is reported before a server is asked.
/// Accepts standard input.
///
/// # Errors
///
/// One line: why the file cannot be found.
pub(super) fn look(path: &Path) -> anyhow::Result<()> {
    if path.as_os_str() != STANDARD_INPUT {
        let found = std::fs::metadata(path).map_err(hint(path));
        found.with_context(|| format!("cannot read {}", path.display()))?;
    }
    Ok(())
}

/// Reads a module of at most `max` bytes, which is the limit of the server. Returns the name to
/// send, and the bytes.
///
/// # Errors
///
/// One line: what cannot be read, or that the module is longer than `max` bytes.
pub(super) fn read(path: &Path, max: usize) -> anyhow::Result<(String, Vec<u8>)> {
    let name = path.display().to_string();
    let (name, bytes) = if name == STANDARD_INPUT {
        let name = "standard input".to_owned();
        let bytes = read_stream(io::stdin().lock(), max).context("cannot read standard input")?;
        (name, bytes)
    } else {
        let bytes = match std::fs::metadata(path) {
            // Waits for the writer, as every reader of a pipe does.
            Ok(found) if found.file_type().is_fifo() => {
                File::open(path).and_then(|pipe| read_stream(pipe, max))
            }
            _ => Origin::Path(path.to_owned()).read(max).map_err(hint(path)),
        };
        (name, bytes.with_context(|| format!("cannot read {}", path.display()))?)
    };
    if bytes.len() > max {
        let size = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file);
        let size = size.map_or("more".into(), |found| format!("{}, more", ByteSize(found.len())));
        bail!(
            "{name} holds {size} than the {} that the server takes; make the module smaller, or start the server \
             with a larger --module-max",
            ByteSize(max as u64)
        );
    }
    Ok((name, bytes))
}

fn read_stream(stream: impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.take(max as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}
