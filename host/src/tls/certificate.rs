//! A certificate of the server with its private key, read from two files and checked.

use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::regular_file;
use crate::tls::facts::Facts;

/// Largest file of certificates or of a key in bytes.
const FILE_MAX: usize = 1 << 20;

/// Mode bits that let every user of the machine use a file.
const OTHERS: u32 = 0o007;

/// Files of a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// File of the chain.
    pub cert: PathBuf,
    /// File of the private key.
    pub key: PathBuf,
}

/// Certificate with its private key.
pub struct Certificate {
    /// Chain and key, for handshakes.
    pub certified: Arc<CertifiedKey>,
    /// What it says.
    pub facts: Facts,
    /// Files.
    pub pair: Pair,
}

impl Pair {
    /// Reads the files, and checks that the chain is in order and that the key is that of its first
    /// certificate.
    ///
    /// # Errors
    ///
    /// One line that names the file, what was found, and what was expected.
    pub fn read(&self, provider: &CryptoProvider) -> anyhow::Result<Certificate> {
        let chain = chain(&self.cert, "--tls-cert")?;
        let of_cert = || self.context();
        let facts = Facts::of_chain(chain.iter().map(|certificate| &**certificate)).with_context(of_cert)?;
        let key = key(&self.key)
            .with_context(|| format!("cannot use the private key {} (--tls-key)", self.key.display()))?;
        let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
            Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                anyhow!("the private key {} (--tls-key) is not that of this certificate", self.key.display())
            }
            error => anyhow!("{error}; expected a key of RSA, ECDSA (P-256, P-384, P-521) or Ed25519"),
        });
        Ok(Certificate { certified: Arc::new(certified.with_context(of_cert)?), facts, pair: self.clone() })
    }

    /// Names the certificate in a message.
    pub(super) fn context(&self) -> String {
        format!("cannot use the certificate {} (--tls-cert)", self.cert.display())
    }

    /// Returns a warning if every user of the machine can read or change the private key.
    pub fn doubt(&self) -> Option<String> {
        let mode = self.key.metadata().ok()?.mode() & 0o7777;
        (mode & OTHERS != 0).then(|| {
            let key = self.key.display();
            format!(
                "the private key {key} is open to all users (mode {mode:04o}, --tls-key); close it: chmod 600 {key}"
            )
        })
    }
}

/// Reads a chain of certificates from the file that `flag` names.
///
/// # Errors
///
/// One line that names the file, what was found, and what was expected.
pub(super) fn chain(path: &Path, flag: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let context = || format!("cannot use the certificate {} ({flag})", path.display());
    let bytes = regular_file::read(path, FILE_MAX).map_err(missing).with_context(context)?;
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = chain.map_err(|error| anyhow!("it is not PEM: {error}")).with_context(context)?;
    if chain.is_empty() {
        return Err(anyhow!("it has no block `BEGIN CERTIFICATE`; expected PEM")).with_context(context);
    }
    Ok(chain)
}

fn key(path: &Path) -> anyhow::Result<PrivateKeyDer<'static>> {
    let bytes = regular_file::read(path, FILE_MAX).map_err(missing)?;
    match PrivateKeyDer::from_pem_slice(&bytes) {
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) if memchr::memmem::find(&bytes, b"ENCRYPTED PRIVATE KEY").is_some() => {
            bail!("it is encrypted; expected one without a password (openssl pkey -in FILE -out FILE)")
        }
        Err(pem::Error::NoItemsFound) => {
            bail!("it has no block `BEGIN PRIVATE KEY`; expected PEM (PKCS#8, PKCS#1 or SEC1)")
        }
        Err(error) => bail!("it is not PEM: {error}"),
    }
}

fn missing(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => anyhow!("there is no such file"),
        io::ErrorKind::PermissionDenied => anyhow!("this user may not read it; change its mode or its owner"),
        _ => error.into(),
    }
}
