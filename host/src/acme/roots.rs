//! Root certificates that the server trusts when it connects to the certificate authority: those of
//! the system, or those in the file `--acme-ca`. They are read for each attempt, so that a change
//! needs no restart.

use std::env;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{anyhow, bail};
use rustls::crypto::CryptoProvider;
use rustls::{ClientConfig, RootCertStore};

use crate::tls::certificate;

/// Environment variable with the path of the system's root certificates, as for OpenSSL.
const VARIABLE: &str = "SSL_CERT_FILE";

/// Paths of the system's root certificates on Debian and Alpine, Fedora, openSUSE, and others.
const FILES: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// Returns the TLS configuration for connections to the certificate authority. Trusts the root
/// certificates in `file` or, if it is [`None`], those of the system.
///
/// # Errors
///
/// One line that says which file cannot be used, and why.
pub(super) fn config(
    file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<ClientConfig>> {
    let roots = match file {
        Some(file) => roots(file, "--acme-ca")?,
        None => roots(&of_system()?, "of the system; --acme-ca names another file")?,
    };
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

/// Reads root certificates from a file. Skips those that cannot be parsed, because the file of a
/// system may contain some. Returns an error if none can be parsed.
fn roots(file: &Path, flag: &str) -> anyhow::Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    let (added, ignored) = roots.add_parsable_certificates(certificate::chain(file, flag)?);
    if added == 0 {
        bail!("cannot use the certificates {} ({flag}): none of the {ignored} is understood", file.display());
    }
    Ok(roots)
}

fn of_system() -> anyhow::Result<PathBuf> {
    let named = env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    let found = named.or_else(|| FILES.iter().map(PathBuf::from).find(|file| file.exists()));
    found.ok_or_else(|| {
        anyhow!(
            "this system has no file of authorities, by which the directory would be trusted; install ca-certificates, or \
             name a file: --acme-ca FILE"
        )
    })
}
