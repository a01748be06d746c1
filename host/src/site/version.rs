//! Version of the handler: a compiled module with its number, origin and hash.

use std::fmt;
use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;
use host_http::quote::quoted;
use host_wasm::{Handler, Values};
use serde::{Deserialize, Serialize};

use crate::hex;
use crate::metrics::requests::ByKind;

/// Maximum number of bytes that are shown of a version's origin, which is a file path or the name
/// of an upload: the length of the longest path on Linux.
const NAME_MAX: usize = 4096;

/// Cargo's target for WebAssembly modules.
const WASM: &str = "wasm32-unknown-unknown";

/// Default handler, built for WebAssembly by `build.rs`.
pub static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handler.wasm"));

/// Version of the handler.
pub struct Version {
    /// Number, origin, size and hash.
    pub label: Label,
    /// Compiled module.
    pub module: Handler,
    /// Counts of the requests to this version. Optimised code that replaces the first code of the
    /// version continues the same counts.
    pub requests: Arc<ByKind>,
}

impl Version {
    /// Returns whether the module of this version has this hash and these values.
    pub(super) fn is_of(&self, sha256: &str, values: &Values) -> bool {
        self.label.sha256 == sha256 && **self.module.values() == *values
    }
}

/// Identity of a version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    /// Number of the version, counted from 1.
    pub number: u64,
    /// Source of the bytes.
    pub origin: Origin,
    /// Size of the module file in bytes.
    pub size: usize,
    /// SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
}

/// Source of a version's bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Handler embedded in this program.
    Embedded,
    /// File that the server has read.
    Path(#[serde(with = "path_text")] PathBuf),
    /// Bytes that a client has sent, with the client's name for them.
    Upload(String),
}

/// Path in JSON: a string, or an array of bytes when it is not UTF-8.
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

/// Module file that may become a version.
pub struct Candidate {
    /// Content of the file.
    pub bytes: Arc<[u8]>,
    /// SHA-256 of the bytes in hexadecimal.
    pub sha256: String,
    /// Source of the bytes.
    pub source: Origin,
}

impl Candidate {
    /// Creates a candidate. Hashing the bytes of a large module takes a while.
    pub fn new(source: Origin, bytes: Vec<u8>) -> Candidate {
        Candidate { sha256: hash(&bytes), bytes: bytes.into(), source }
    }

    /// Returns the label that this candidate has as version `number`.
    pub(super) fn label(&self, number: u64) -> Label {
        let (origin, sha256) = (self.source.clone(), self.sha256.clone());
        Label { number, origin, size: self.bytes.len(), sha256 }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Label { number, origin, size, sha256 } = self;
        write!(f, "version {number}: {origin}, {}, sha256 {sha256}", ByteSize(*size as u64))
    }
}

impl Origin {
    /// Reads the bytes from their source. For a file longer than `limit` bytes, returns the first
    /// `limit + 1`, which the compiler refuses as too large.
    ///
    /// # Errors
    ///
    /// When the file cannot be read or changes while it is read, or when the bytes were uploaded.
    pub fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Origin::Embedded => Ok(EMBEDDED.into()),
            Origin::Path(path) => read_file(path, limit),
            Origin::Upload(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "it was sent by a client and is not in a file",
            )),
        }
    }

    /// Returns the length in bytes of the path or of the upload's name.
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
    // Opens a pipe without waiting for a writer; the check below refuses the pipe.
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

/// Returns a function that replaces an error of reading the file at `path` by one that names a
/// remedy, if the file is missing or may not be read.
pub fn hint(path: &Path) -> impl Fn(io::Error) -> io::Error {
    move |error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::new(io::ErrorKind::NotFound, missing(path)),
        io::ErrorKind::PermissionDenied => io::Error::new(
            io::ErrorKind::PermissionDenied,
            "this user may not read it; change its mode or its owner",
        ),
        _ => error,
    }
}

/// Returns the error message for a module file that does not exist.
fn missing(path: &Path) -> String {
    let Some([same, release]) = built_by_cargo(path) else {
        return "there is no such file; expected a .wasm or .wat file (host new NAME begins a handler, and host dev \
                NAME builds and serves it)"
            .into();
    };
    let shown = |module: &Path| quoted(&module.to_string_lossy(), NAME_MAX).to_string();
    match [&same, &release].into_iter().find(|module| module.exists()) {
        Some(module) => format!("there is no such file; expected {}, which exists", shown(module)),
        None => format!(
            "there is no such file; expected {}, which cargo build --release --target {WASM} writes",
            shown(&release)
        ),
    }
}

/// Returns the paths of the WebAssembly module that Cargo builds from the same crate as the native
/// binary `path`, such as `target/debug/NAME`: first with the profile of `path`, then with
/// `release`. [`None`] if `path` is not such a binary.
fn built_by_cargo(path: &Path) -> Option<[PathBuf; 2]> {
    let folder = path.parent()?;
    let target = folder.parent().filter(|target| target.ends_with("target"))?;
    let profile = folder.file_name().filter(|profile| *profile == "release" || *profile == "debug")?;
    // The name of a library has no hyphens.
    let name = path.file_stem()?.to_str()?.replace('-', "_");
    Some(
        [profile, "release".as_ref()]
            .map(|profile| target.join(WASM).join(profile).join(format!("{name}.wasm"))),
    )
}

/// Returns the SHA-256 of these bytes in hexadecimal.
pub fn hash(bytes: &[u8]) -> String {
    hex::sha256(bytes)
}
