//! Flags for TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use crate::config::acme::AcmeFlags;
use crate::config::value::hsts;

/// Maximum number of certificate files (`--tls-cert`).
pub const CERTIFICATES_MAX: usize = 1000;

/// Flags for TLS at the addresses of --listen.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsFlags {
    /// Certificate of the server in PEM, followed by those of its authorities. Repeatable, each
    /// with a --tls-key; a client gets the certificate that has the server name it asks for, or
    /// else the first one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_cert: Vec<PathBuf>,

    /// Private key of the certificate in PEM (PKCS#8, PKCS#1 or SEC1); the first --tls-key belongs
    /// to the first --tls-cert, and so on
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_key: Vec<PathBuf>,

    /// Oldest version of TLS that a client may use [default: 1.2]
    #[arg(long, value_name = "VERSION", value_enum)]
    pub tls_min: Option<TlsVersion>,

    /// Certificates of the authorities whose client certificates the server accepts, in PEM;
    /// --tls-client says whether a client needs one
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client needs a certificate of --tls-client-ca [default: required]
    #[arg(long, value_name = "WHETHER", value_enum)]
    pub tls_client: Option<ClientCertificate>,

    /// Time for which a browser uses only HTTPS after its last visit: max-age of the header
    /// strict-transport-security, which responses over TLS get [default: no such header]
    #[arg(long, value_name = "TIME", value_parser = hsts)]
    pub hsts: Option<Duration>,

    /// Do not offer HTTP/2 over TLS
    #[arg(long)]
    pub no_h2: bool,

    /// Flags for certificates by ACME.
    #[command(flatten)]
    pub acme: AcmeFlags,
}

/// Version of TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TlsVersion {
    /// TLS 1.2
    #[value(name = "1.2")]
    Tls12,
    /// TLS 1.3
    #[value(name = "1.3")]
    Tls13,
}

/// Whether a client needs a certificate (`--tls-client`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientCertificate {
    /// A client needs a certificate; without one it gets no connection
    Required,
    /// A client may have a certificate, which is checked
    Optional,
}

/// Requirements for TLS clients, which do not depend on the certificates of the server.
#[derive(Debug, PartialEq, Eq)]
pub struct Terms<'a> {
    /// Oldest version of TLS that a client may use.
    pub oldest: TlsVersion,
    /// File with the authorities that client certificates must come from; [`None`] if the server
    /// does not ask clients for a certificate.
    pub authorities: Option<&'a Path>,
    /// Whether a client must present a certificate. Has no effect without [`Terms::authorities`].
    pub client: ClientCertificate,
    /// Whether the server offers HTTP/2.
    pub has_http2: bool,
}

impl TlsFlags {
    /// Checks the flags together: a key for each certificate, the number of certificates, flags
    /// that need another flag, and those for ACME.
    ///
    /// # Errors
    ///
    /// The id of the flag that is wrong, and a message that says what was found and expected.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let (certs, keys) = (self.tls_cert.len(), self.tls_key.len());
        if certs != keys {
            let id = if certs > keys { "tls_cert" } else { "tls_key" };
            let message = format!(
                "found {certs} of --tls-cert and {keys} of --tls-key; expected one key for each certificate, in the same \
                 order"
            );
            return Err((id, message));
        }
        if certs > CERTIFICATES_MAX {
            return Err((
                "tls_cert",
                format!("found {certs} certificates (--tls-cert); expected at most {CERTIFICATES_MAX}"),
            ));
        }
        self.acme.check()?;
        // Each would have no effect without the other, which is not what is meant.
        let (is_on, certificate) = (self.is_on(), "a certificate; expected --tls-cert FILE or --acme DOMAIN");
        let needing = [
            ("tls_client_ca", self.tls_client_ca.is_some(), is_on, certificate),
            ("tls_min", self.tls_min.is_some(), is_on, certificate),
            ("no_h2", self.no_h2, is_on, certificate),
            ("hsts", self.hsts.is_some(), is_on, certificate),
            (
                "tls_client",
                self.tls_client.is_some(),
                self.tls_client_ca.is_some(),
                "authorities; expected --tls-client-ca FILE",
            ),
        ];
        match needing.into_iter().find(|(_, is_given, has_other, _)| *is_given && !has_other) {
            Some((id, _, _, what)) => Err((id, format!("--{} needs {what} with it", id.replace('_', "-")))),
            None => Ok(()),
        }
    }

    /// Returns a warning if `--hsts` has no effect. `is_plain` says that no address of `--listen` speaks
    /// TLS.
    pub fn doubt(&self, is_plain: bool) -> Option<String> {
        (self.hsts.is_some() && self.is_on() && is_plain).then(|| {
            "--hsts has no effect, because no address of --listen speaks TLS; expected --listen HOST:PORT"
                .into()
        })
    }

    /// Returns the requirements for TLS clients.
    pub fn terms(&self) -> Terms<'_> {
        Terms {
            oldest: self.tls_min.unwrap_or(TlsVersion::Tls12),
            authorities: self.tls_client_ca.as_deref(),
            client: self.tls_client.unwrap_or(ClientCertificate::Required),
            has_http2: !self.no_h2,
        }
    }

    /// Returns whether TLS is on: a certificate is given (`--tls-cert`), or the server gets one
    /// through ACME (`--acme`).
    pub fn is_on(&self) -> bool {
        !self.tls_cert.is_empty() || self.acme.is_on()
    }
}
