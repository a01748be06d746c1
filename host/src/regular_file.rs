//! Reads regular files of bounded size. Other files are errors: a named pipe would block the
//! reader, and a device might never end.

use std::fs::OpenOptions;
use std::io::{self, Read as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytesize::ByteSize;

/// Reads a regular file of at most `max` bytes.
///
/// # Errors
///
/// When there is no such file, when it is not a regular file or is too long, or when it
/// cannot be read.
pub fn read(path: &Path, max: usize) -> io::Result<Vec<u8>> {
    // Opens a pipe without waiting for a writer; the check below refuses it.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("it is not a regular file"));
    }
    let mut bytes = Vec::new();
    file.take(max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > max {
        return Err(io::Error::other(format!("it is longer than {}", ByteSize(max as u64))));
    }
    Ok(bytes)
}

/// Reads a regular file of at most `max` bytes as UTF-8 text.
///
/// # Errors
///
/// The errors of [`read`]; also when the file is not UTF-8.
pub fn read_text(path: &Path, max: usize) -> io::Result<String> {
    String::from_utf8(read(path, max)?).map_err(|error| {
        io::Error::other(format!("it is not UTF-8 from byte {} on", error.utf8_error().valid_up_to()))
    })
}
