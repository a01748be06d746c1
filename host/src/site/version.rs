//! A version: a compiled handler with its number, its origin and its hash.

use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use bytesize::ByteSize;
use host_http::quote::quoted;
use host_wasm::HandlerModule;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The longest name of a file that is told, in bytes: the longest path on Linux.
const NAME_MAX: usize = 4096;

/// The default handler, built for WebAssembly by this crate's `build.rs`.
pub static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handler.wasm"));

/// A handler that serves, served or may serve.
pub struct Version {
    /// What is known of it beside its code.
    pub label: Label,
    /// What is called.
    pub module: HandlerModule,
}

/// What a version is called, and what it is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Counted from 1.
    pub number: u64,
    /// Where its bytes came from.
    pub origin: Origin,
    /// How many bytes those were.
    pub size: usize,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
}

/// Where a version's bytes came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Out of this program.
    Embedded,
    /// A file that the server read.
    Path(#[serde(with = "path_text")] PathBuf),
    /// A file that was sent to it, with the name that it had there.
    Upload(String),
}

/// A path in JSON: a text, or where it is none, its bytes.
mod path_text {
    use std::ffi::OsString;
    use std::os::unix::ffi::{OsStrExt, OsStringExt};
    use std::path::{Path, PathBuf};

    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Written {
        Text(PathBuf),
        Bytes(Vec<u8>),
    }

    pub(super) fn serialize<S: Serializer>(path: &Path, to: S) -> Result<S::Ok, S::Error> {
        match path.to_str() {
            Some(text) => to.serialize_str(text),
            None => path.as_os_str().as_bytes().serialize(to),
        }
    }

    pub(super) fn deserialize<'a, D: Deserializer<'a>>(from: D) -> Result<PathBuf, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Text(path) => path,
            Written::Bytes(bytes) => OsString::from_vec(bytes).into(),
        })
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Label { number, origin, size, sha256 } = self;
        write!(f, "version {number}: {origin}, {}, sha256 {sha256}", ByteSize(*size as u64))
    }
}

impl Origin {
    /// Reads the bytes anew, where they can be had anew.
    ///
    /// # Errors
    ///
    /// Those of the file. A file past `limit` bytes gives one byte more than
    /// that, which is enough to tell.
    pub fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Origin::Embedded => Ok(EMBEDDED.into()),
            Origin::Path(path) => read_file(path, limit),
            Origin::Upload(_) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, "it was sent, and is not on file"))
            }
        }
    }
}

impl Origin {
    /// How long its name is, in bytes.
    pub(super) fn length(&self) -> usize {
        match self {
            Origin::Embedded => 0,
            Origin::Path(path) => path.as_os_str().len(),
            Origin::Upload(name) => name.len(),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Embedded => f.write_str("the embedded handler"),
            Origin::Path(path) => write!(f, "{}", quoted(&path.to_string_lossy(), NAME_MAX)),
            Origin::Upload(name) => write!(f, "{} (sent)", quoted(name, NAME_MAX)),
        }
    }
}

fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    // Opening a pipe would wait for somebody to write into it, without this.
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    let before = file.metadata()?;
    let other = |what| Err(io::Error::other(format!("it is {what}; expected a .wasm or .wat file")));
    match before.file_type() {
        kind if kind.is_dir() => return other("a folder"),
        kind if kind.is_fifo() || kind.is_socket() => return other("a pipe or a socket"),
        _ => {}
    }
    let mut bytes = Vec::new();
    (&file).take(limit as u64 + 1).read_to_end(&mut bytes)?;
    let after = file.metadata()?;
    let written = |file: &Metadata| (file.len(), file.mtime(), file.mtime_nsec());
    match written(&before) == written(&after) {
        true => Ok(bytes),
        false => Err(io::Error::other("it changed while it was read")),
    }
}

/// The SHA-256 of these bytes, in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
