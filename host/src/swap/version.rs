//! A version: a compiled handler with its number, its origin and its hash.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use bytesize::ByteSize;
use sha2::{Digest, Sha256};

use crate::limits::Limits;
use crate::wasm::{Engine, HandlerModule};

/// The default handler, built for WebAssembly by this crate's `build.rs`.
pub static EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/handler.wasm"));

/// A handler that serves, served or may serve.
pub struct Version {
    /// Counted from 1 since the server's start.
    pub number: u64,
    /// Where its bytes came from.
    pub origin: Origin,
    /// How many bytes those were.
    pub size: usize,
    /// Their SHA-256, in hexadecimal.
    pub sha256: String,
    /// What is called.
    pub module: HandlerModule,
}

/// Where a version's bytes came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// Out of this program.
    Embedded,
    /// A file.
    Path(PathBuf),
}

impl Version {
    /// Reads the module from its origin, compiles it, and starts it once.
    ///
    /// # Errors
    ///
    /// One line: which module, and what is wrong with it.
    pub async fn load(
        engine: &Engine,
        limits: &Limits,
        number: u64,
        origin: Origin,
    ) -> anyhow::Result<Version> {
        let load = async {
            let bytes = origin.read(limits.module_max)?;
            let module = HandlerModule::new(engine, &bytes)?;
            module.try_start().await.context("it does not start")?;
            let (size, sha256) = (bytes.len(), hex(&Sha256::digest(&bytes)));
            anyhow::Ok(Version { number, origin: origin.clone(), size, sha256, module })
        };
        load.await.with_context(|| format!("cannot serve {origin}"))
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Version { number, origin, size, sha256, .. } = self;
        let size = ByteSize(*size as u64);
        write!(f, "version {number}: {origin}, {size}, sha256 {sha256}")
    }
}

impl Origin {
    fn read(&self, limit: usize) -> io::Result<Vec<u8>> {
        match self {
            Origin::Embedded => Ok(EMBEDDED.into()),
            Origin::Path(path) => read_file(path, limit),
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Embedded => f.write_str("the embedded handler"),
            Origin::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Reads a file, but no more than one byte past the limit: enough to tell that
/// it is too large.
fn read_file(path: &Path, limit: usize) -> io::Result<Vec<u8>> {
    let file = File::open(path)?;
    // Opening a folder succeeds, and reading from it fails with less to say.
    if file.metadata()?.is_dir() {
        return Err(io::Error::new(
            io::ErrorKind::IsADirectory,
            "it is a folder; expected a .wasm or .wat file",
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
