//! TLS configuration of the server: versions, ciphers, tickets and client certificates.
//!
//! Cryptography is that of aws-lc-rs. Sessions are resumed only with tickets, whose keys change
//! every 6 hours and are known to this process only. There is no early data, which could be
//! replayed, and no OCSP stapling.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};

use crate::config::tls::{ClientCertificate, Terms, TlsFlags, TlsVersion};
use crate::tls::certificate;
use crate::tls::certificates::Certificates;
use crate::tls::facts;

/// Name of HTTP/2 in ALPN, the negotiation of a protocol.
pub const HTTP2: &[u8] = b"h2";

/// Name of HTTP/1.1 in ALPN, the negotiation of a protocol.
const HTTP1: &[u8] = b"http/1.1";

/// Returns the cryptography provider of the server.
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// Returns the TLS configuration that the flags describe.
///
/// # Errors
///
/// One line: which file cannot be used, and why.
pub fn new(
    flags: &TlsFlags,
    provider: &Arc<CryptoProvider>,
    certificates: &Arc<Certificates>,
) -> anyhow::Result<ServerConfig> {
    let Terms { oldest, authorities, client, has_http2 } = flags.terms();
    let versions: &[_] = match oldest {
        TlsVersion::Tls12 => &[&TLS13, &TLS12],
        TlsVersion::Tls13 => &[&TLS13],
    };
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(provider)).with_protocol_versions(versions)?;
    let builder = match authorities {
        Some(path) => builder.with_client_cert_verifier(verifier(path, client, provider)?),
        None => builder.with_no_client_auth(),
    };
    let mut terms = builder.with_cert_resolver(Arc::clone(certificates) as _);
    // The best one first.
    let protocols: &[&[u8]] = if has_http2 { &[HTTP2, HTTP1] } else { &[HTTP1] };
    terms.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    terms.ticketer = aws_lc_rs::Ticketer::new()?;
    terms.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(terms)
}

/// Returns a warning if a certificate among the authorities of clients is not that of an authority.
pub(super) fn doubt(flags: &TlsFlags) -> Option<String> {
    let path = flags.tls_client_ca.as_deref()?;
    let chain = certificate::chain(path, "--tls-client-ca").ok()?;
    let at = chain.iter().position(|one| !facts::may_be_authority(one))?;
    Some(format!(
        "certificate {} in {} (--tls-client-ca) is not that of an authority (basicConstraints=CA:TRUE); expected those \
         that have issued the certificates of clients",
        at + 1,
        path.display()
    ))
}

/// Returns the verifier of client certificates, which trusts the certificate authorities in the
/// file at `path`.
fn verifier(
    path: &Path,
    whether: ClientCertificate,
    provider: &Arc<CryptoProvider>,
) -> anyhow::Result<Arc<dyn ClientCertVerifier>> {
    let context = || format!("cannot use the authorities of clients {} (--tls-client-ca)", path.display());
    let mut roots = RootCertStore::empty();
    for authority in certificate::chain(path, "--tls-client-ca")? {
        roots.add(authority).map_err(|error| anyhow!("{error}")).with_context(context)?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider));
    let builder = match whether {
        ClientCertificate::Required => builder,
        ClientCertificate::Optional => builder.allow_unauthenticated(),
    };
    builder.build().with_context(context)
}
