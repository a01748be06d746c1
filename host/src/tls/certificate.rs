//! A certificate of the server with its private key, read from files and checked.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, anyhow, bail};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use rustls::{Error, InconsistentKeys};

use crate::config::acme::Domain;
use crate::regular_file;
use crate::tls::facts::{self, Facts};

/// Maximum size of a file of certificates or of a private key, in bytes.
const FILE_MAX: usize = 1 << 20;

/// Permission bits of all users other than the owner and the group of a file.
const OTHERS: u32 = 0o007;

/// Files of a certificate and its private key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// File of the certificate chain.
    pub cert: PathBuf,
    /// File of the private key.
    pub key: PathBuf,
}

/// Certificate with its private key.
#[derive(Clone)]
pub struct Certificate {
    /// Chain and key, for handshakes.
    pub certified: Arc<CertifiedKey>,
    /// Names, validity and issuer of the certificate.
    pub facts: Facts,
    /// Files of the certificate and the key.
    pub pair: Pair,
    /// Domain of a certificate that was obtained by ACME; [`None`] for one that `--tls-cert` names.
    pub domain: Option<Domain>,
    /// Text of a certificate that was obtained by ACME, to write its file again.
    pub kept: Option<KeptText>,
}

/// Text of a certificate and its private key in PEM.
#[derive(Clone)]
pub struct KeptText(pub Arc<[u8]>);

impl Pair {
    /// Reads the files. Checks that the chain is in order, and that the private key belongs to the
    /// first certificate of the chain.
    ///
    /// # Errors
    ///
    /// One line that names the file, what was found, and what was expected.
    pub fn read(&self, provider: &CryptoProvider) -> anyhow::Result<Certificate> {
        let chain = chain(&self.cert, "--tls-cert")?;
        let of_cert = || self.context();
        let facts = Facts::of_chain(chain.iter().map(|certificate| &**certificate)).with_context(of_cert)?;
        let bytes = regular_file::read(&self.key, FILE_MAX).map_err(missing);
        let key = bytes.and_then(|bytes| key(&bytes));
        let key =
            key.with_context(|| format!("cannot use the private key {} (--tls-key)", self.key.display()))?;
        let other = format!("the private key {} (--tls-key)", self.key.display());
        let certified = certified(chain, key, &other, provider).with_context(of_cert)?;
        Ok(Certificate { certified, facts, pair: self.clone(), domain: None, kept: None })
    }

    /// Checks the file of the certificate without that of the key.
    ///
    /// # Errors
    ///
    /// One line that names the file, what was found, and what was expected.
    pub(super) fn check_cert(&self) -> anyhow::Result<()> {
        let chain = chain(&self.cert, "--tls-cert")?;
        let facts = Facts::of_chain(chain.iter().map(|certificate| &**certificate));
        facts.map(drop).with_context(|| self.context())
    }

    /// Returns the beginning of an error message about the certificate, with the path of its file.
    pub(super) fn context(&self) -> String {
        format!("cannot use the certificate {} (--tls-cert)", self.cert.display())
    }

    /// Returns a warning if users other than the owner and the group can access the file of the
    /// private key.
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

impl Certificate {
    /// Parses a certificate that was obtained by ACME for a domain, and its private key, from one
    /// text in PEM, and checks both. `file` is the path at which the text is stored, or will be.
    ///
    /// # Errors
    ///
    /// One line: what is wrong with the certificate or its key.
    pub fn of_domain(
        domain: &Domain,
        text: &[u8],
        file: &Path,
        provider: &CryptoProvider,
    ) -> anyhow::Result<Certificate> {
        let chain = chain_of(text)?;
        let facts = Facts::of_chain(chain.iter().map(|certificate| &**certificate))?;
        if !facts.names.iter().any(|name| name == domain.as_str()) {
            bail!("it is for {}; expected one for {domain}", facts.names.join(" "));
        }
        let certified = certified(chain, key(text)?, "the private key in it", provider)?;
        let pair = Pair { cert: file.to_owned(), key: file.to_owned() };
        let kept = Some(KeptText(text.into()));
        Ok(Certificate { certified, facts, pair, domain: Some(domain.clone()), kept })
    }

    /// Reads a certificate that was obtained by ACME for a domain, and its private key, from one
    /// file, and checks both. Returns [`None`] if there is no such file.
    ///
    /// # Errors
    ///
    /// One line that names the file, what was found, and what was expected.
    pub(crate) fn read_domain(
        domain: &Domain,
        file: &Path,
        provider: &CryptoProvider,
    ) -> anyhow::Result<Option<Certificate>> {
        let bytes = match regular_file::read(file, FILE_MAX) {
            Err(error) if [io::ErrorKind::NotFound, io::ErrorKind::NotADirectory].contains(&error.kind()) => {
                return Ok(None);
            }
            bytes => bytes.map_err(missing),
        };
        let read = bytes.and_then(|bytes| Certificate::of_domain(domain, &bytes, file, provider));
        read.map(Some).with_context(|| format!("cannot use the certificate {} (--acme-dir)", file.display()))
    }

    /// Returns the flag that asks for this certificate (`--acme` or `--tls-cert`), for messages.
    pub(super) fn flag(&self) -> &'static str {
        if self.domain.is_some() { "--acme" } else { "--tls-cert" }
    }
}

fn certified(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    named: &str,
    provider: &CryptoProvider,
) -> anyhow::Result<Arc<CertifiedKey>> {
    let kind = chain.first().map_or_else(String::new, |first| facts::kind_of_key(first));
    let certified = CertifiedKey::from_der(chain, key, provider).map_err(|error| match error {
        Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            anyhow!("{named} is not that of this certificate")
        }
        _ => anyhow!(
            "{named} cannot be used, and the certificate is for {kind}; expected RSA of 2048 to 8192 bits, ECDSA (P-256, P-384, P-521) or \
             Ed25519"
        ),
    });
    certified.map(Arc::new)
}

/// Reads a certificate chain from the file at `path`. `flag` is the flag that gives the path, for
/// error messages.
///
/// # Errors
///
/// One line that names the file, what was found, and what was expected.
pub fn chain(path: &Path, flag: &str) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let bytes = regular_file::read(path, FILE_MAX).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => list(path, flag).unwrap_or_else(|| missing(error)),
        _ => missing(error),
    });
    let chain = bytes.and_then(|bytes| chain_of(&bytes));
    chain.with_context(|| format!("cannot use the certificate {} ({flag})", path.display()))
}

fn chain_of(text: &[u8]) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    let chain = chain.map_err(|error| anyhow!("it is not PEM: {error}"))?;
    if chain.is_empty() {
        bail!("it has no block `BEGIN CERTIFICATE`; expected PEM");
    }
    Ok(chain)
}

fn key(text: &[u8]) -> anyhow::Result<PrivateKeyDer<'static>> {
    let has = |words: &[u8]| memchr::memmem::find(text, words).is_some();
    match PrivateKeyDer::from_pem_slice(text) {
        // The second is how older programs mark it.
        _ if has(b"BEGIN ENCRYPTED PRIVATE KEY") || has(b"Proc-Type: 4,ENCRYPTED") => {
            bail!("it is encrypted; expected one without a password (openssl pkey -in FILE -out FILE)")
        }
        Ok(key) => Ok(key),
        Err(pem::Error::NoItemsFound) => {
            bail!("it has no block `BEGIN PRIVATE KEY`; expected PEM (PKCS#8, PKCS#1 or SEC1)")
        }
        Err(error) => bail!("it is not PEM: {error}"),
    }
}

/// Returns what is wrong with a path that is a list of paths.
fn list(path: &Path, flag: &str) -> Option<anyhow::Error> {
    let has_comma = path.as_os_str().as_bytes().contains(&b',');
    has_comma.then(|| anyhow!("there is no such file; for several files, repeat {flag}"))
}

fn missing(error: io::Error) -> anyhow::Error {
    match error.kind() {
        io::ErrorKind::NotFound => anyhow!("there is no such file"),
        io::ErrorKind::PermissionDenied => anyhow!("this user may not read it; change its mode or its owner"),
        _ => error.into(),
    }
}
