//! Certificate that proves in a TLS-ALPN-01 challenge (RFC 8737) that this server controls a
//! domain.

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::NoServerSessionStorage;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use crate::config::acme::Domain;
use crate::tls::challenges::PROTOCOL;

/// Length of a SHA-256 hash in bytes.
const DIGEST: usize = 32;

/// Returns the TLS configuration that presents the certificate for a challenge. Other clients get
/// another configuration, which may require a client certificate. The authority has none.
///
/// # Errors
///
/// When a key or a certificate cannot be made.
pub(super) fn terms(
    domain: &Domain,
    digest: &[u8],
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<ServerConfig>> {
    anyhow::ensure!(digest.len() == DIGEST, "the digest of the challenge has {} bytes", digest.len());
    let mut params = CertificateParams::new(vec![domain.to_string()])?;
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let certificate = params.self_signed(&key)?;
    let key = PrivateKeyDer::try_from(key.serialize_der()).map_err(anyhow::Error::msg)?;
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(provider)).with_safe_default_protocol_versions()?;
    let key = provider.key_provider.load_private_key(key)?;
    // Not checked: the extension of the challenge is critical, and rustls does not know it.
    let shown = CertifiedKey::new(vec![certificate.der().clone()], key);
    let shown = Arc::new(SingleCertAndKey::from(shown));
    let mut terms = builder.with_no_client_auth().with_cert_resolver(shown);
    terms.alpn_protocols = vec![PROTOCOL.to_vec()];
    terms.session_storage = Arc::new(NoServerSessionStorage {});
    terms.send_tls13_tickets = 0;
    Ok(Arc::new(terms))
}
