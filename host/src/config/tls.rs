//! Flags for TLS.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{ValueEnum, ValueHint};

use crate::config::value::duration;

/// Most files of certificates.
pub const CERTIFICATES_MAX: usize = 1000;

/// Flags for TLS at the addresses of --listen.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "TLS")]
pub struct TlsFlags {
    /// Certificate of the server in PEM, followed by those of its authorities. Repeatable, each with
    /// its --tls-key; the names in them say which one a client gets, and a client that asks for no
    /// name, or for an unknown one, gets the first
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_cert: Vec<PathBuf>,

    /// Private key of the --tls-cert in the same place, in PEM (PKCS#8, PKCS#1 or SEC1)
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_key: Vec<PathBuf>,

    /// Oldest version of TLS that a client may use
    #[arg(long, value_name = "VERSION", value_enum, default_value_t = TlsVersion::Tls12)]
    pub tls_min: TlsVersion,

    /// Certificates of authorities in PEM, of which clients have to have a certificate
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub tls_client_ca: Option<PathBuf>,

    /// Whether a client needs a certificate of --tls-client-ca
    #[arg(long, value_name = "WHETHER", value_enum, default_value_t = ClientCertificate::Required)]
    pub tls_client: ClientCertificate,

    /// Time for which a browser is to use HTTPS only, once it has been here: max-age of the header
    /// strict-transport-security, which responses over TLS get [default: no such header]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub hsts: Option<Duration>,
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

/// Whether a client needs a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ClientCertificate {
    /// It does; without one it gets no connection
    Required,
    /// It may have one, which is checked
    Optional,
}

impl TlsFlags {
    /// Checks what the parsers of single flags cannot.
    ///
    /// # Errors
    ///
    /// The id of a flag that needs another one, and which one.
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
        if certs == 0 {
            let needs = |id, flag: &str| {
                Err((id, format!("{flag} needs a certificate; expected --tls-cert FILE with it")))
            };
            if self.tls_client_ca.is_some() {
                return needs("tls_client_ca", "--tls-client-ca");
            }
            if self.hsts.is_some() {
                return needs("hsts", "--hsts");
            }
        }
        Ok(())
    }

    /// Returns the flags about who may come, and how.
    pub fn terms(&self) -> (TlsVersion, Option<&Path>, ClientCertificate) {
        (self.tls_min, self.tls_client_ca.as_deref(), self.tls_client)
    }

    /// Returns whether there is a certificate.
    pub fn is_on(&self) -> bool {
        !self.tls_cert.is_empty()
    }
}
