//! Facts that a certificate states: its names, its validity, and its issuer.

use std::fmt;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use x509_parser::time::ASN1Time;

use crate::{clock, hex};

/// Seconds of a day.
const DAY: u64 = 24 * 3600;

/// Facts that a certificate states.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Facts {
    /// Names of servers and IP addresses that the certificate is for; `*.` at the start stands for
    /// one label.
    pub names: Vec<String>,
    /// Time from which on the certificate is valid, in RFC 3339.
    pub not_before: String,
    /// Time at which the certificate expires, in RFC 3339.
    pub not_after: String,
    /// Name of the issuer.
    pub issuer: String,
    /// SHA-256 of the certificate, in hexadecimal digits.
    pub sha256: String,
}

/// Whether a certificate is valid now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Validity {
    /// Its time has not begun.
    NotYet,
    /// Its time is over.
    Expired,
    /// It is valid, for so many whole days from now on.
    Days(u64),
}

impl Validity {
    /// Returns whether the certificate is valid.
    pub fn is_good(self) -> bool {
        matches!(self, Validity::Days(_))
    }
}

impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Validity::NotYet => f.write_str("is not valid yet"),
            Validity::Expired => f.write_str("has expired"),
            Validity::Days(0) => f.write_str("expires within a day"),
            Validity::Days(1) => f.write_str("expires in 1 day"),
            Validity::Days(days) => write!(f, "expires in {days} days"),
        }
    }
}

/// Issuer that a certificate names: the name of the issuer, and the identifier of the issuer's key
/// if the certificate has one.
struct Issuer {
    name: Vec<u8>,
    key: Option<Vec<u8>>,
}

impl Facts {
    /// Reads the facts of the first certificate of a chain. Checks that each further certificate
    /// belongs to the issuer of an earlier one, by the issuer's name and key identifier.
    ///
    /// # Errors
    ///
    /// One line: what is wrong with which certificate.
    pub fn of_chain<'a>(chain: impl Iterator<Item = &'a [u8]>) -> anyhow::Result<Facts> {
        let mut facts = None;
        let mut issuers: Vec<Issuer> = Vec::new();
        for (index, der) in chain.enumerate() {
            let (rest, found) = X509Certificate::from_der(der)
                .with_context(|| format!("certificate {} of the chain is malformed", index + 1))?;
            if !rest.is_empty() {
                bail!("certificate {} of the chain has bytes behind its end", index + 1);
            }
            if index > 0 && !issuers.iter().any(|issuer| issuer.is(&found)) {
                bail!(
                    "certificate {} of the chain is not that of the issuer of one before it; expected the server's own \
                     certificate first, and then each time that of the issuer",
                    index + 1
                );
            }
            issuers.push(Issuer::of(&found));
            if facts.is_none() {
                facts = Some(Facts::of(&found, der)?);
            }
        }
        facts.context("there is no certificate")
    }

    /// Checks that the certificate is valid at `now`.
    ///
    /// # Errors
    ///
    /// When the certificate is not valid yet, or has expired. The message has the time at which its
    /// validity begins or ended.
    pub fn check(&self, now: SystemTime) -> anyhow::Result<()> {
        if now < parsed(&self.not_before) {
            bail!("it is not valid before {}", self.not_before);
        }
        if now >= self.not_after() {
            bail!("it expired at {}", self.not_after);
        }
        Ok(())
    }

    /// Returns whether the certificate is valid at `now`.
    pub fn validity(&self, now: SystemTime) -> Validity {
        match self.not_after().duration_since(now) {
            _ if now < self.not_before() => Validity::NotYet,
            Ok(left) if !left.is_zero() => Validity::Days(left.as_secs() / DAY),
            _ => Validity::Expired,
        }
    }

    /// Returns the time at which the certificate expires.
    pub fn not_after(&self) -> SystemTime {
        parsed(&self.not_after)
    }

    /// Returns how long the certificate is valid in all, from the beginning to the end of its
    /// validity.
    pub fn lifetime(&self) -> Duration {
        self.not_after().duration_since(self.not_before()).unwrap_or_default()
    }

    /// Returns the time at which the validity of the certificate begins.
    pub fn not_before(&self) -> SystemTime {
        parsed(&self.not_before)
    }

    fn of(found: &X509Certificate<'_>, der: &[u8]) -> anyhow::Result<Facts> {
        let names = names(found)?;
        if names.is_empty() {
            let is_ca = if found.is_ca() {
                "; it is that of an authority, and the server's own certificate comes first"
            } else {
                ""
            };
            bail!("the certificate has no names (subjectAltName), so no client would accept it{is_ca}");
        }
        let validity = found.validity();
        Ok(Facts {
            names,
            not_before: rfc3339(&validity.not_before),
            not_after: rfc3339(&validity.not_after),
            issuer: found.issuer().to_string(),
            sha256: hex::sha256(der),
        })
    }
}

impl Issuer {
    fn of(found: &X509Certificate<'_>) -> Issuer {
        let key = found.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::AuthorityKeyIdentifier(id) => id.key_identifier.as_ref().map(|id| id.0.to_vec()),
            _ => None,
        });
        Issuer { name: found.issuer().as_raw().into(), key }
    }

    /// Returns whether a certificate belongs to this issuer: it has the name of the issuer, and the
    /// same key identifier, if both have one.
    fn is(&self, found: &X509Certificate<'_>) -> bool {
        let key = found.extensions().iter().find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) => Some(id.0),
            _ => None,
        });
        let is_key = self.key.as_deref().zip(key).is_none_or(|(expected, found)| expected == found);
        self.name == found.subject().as_raw() && is_key
    }
}

/// Returns the DNS names of a certificate, in lower case, and its IP addresses.
fn names(found: &X509Certificate<'_>) -> anyhow::Result<Vec<String>> {
    let alternative = found.subject_alternative_name().context("its names (subjectAltName) are malformed")?;
    let all = alternative.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    Ok(all.iter().filter_map(name).collect())
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(name.to_ascii_lowercase()),
        GeneralName::IPAddress(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
            _ => <[u8; 16]>::try_from(*bytes).ok().map(|bytes| IpAddr::from(bytes).to_string()),
        },
        _ => None,
    }
}

/// Returns whether a certificate may be that of an authority. A certificate that cannot be parsed may
/// be one.
pub(super) fn may_be_authority(der: &[u8]) -> bool {
    // Version 1 has no extensions to say so.
    X509Certificate::from_der(der).map_or(true, |(_, found)| found.is_ca() || found.version().0 < 2)
}

/// Names the kind of the public key of a certificate, and its size if it is a key of RSA.
pub(super) fn kind_of_key(der: &[u8]) -> String {
    let unknown = || "a key of an unknown kind".to_owned();
    let Ok((_, found)) = X509Certificate::from_der(der) else { return unknown() };
    match found.public_key().parsed() {
        Ok(PublicKey::RSA(key)) => format!("RSA of {} bits", key.key_size()),
        Ok(PublicKey::EC(point)) => format!("a key of an elliptic curve of {} bits", point.key_size()),
        Ok(PublicKey::DSA(_)) => "DSA".into(),
        _ => format!("a key of the kind {}", found.public_key().algorithm.algorithm),
    }
}

/// Formats a time of a certificate as in RFC 3339. A time before 1970 becomes the start of 1970.
fn rfc3339(time: &ASN1Time) -> String {
    let since = Duration::from_secs(u64::try_from(time.timestamp()).unwrap_or_default());
    clock::seconds(SystemTime::UNIX_EPOCH + since).to_string()
}

/// Parses a time that [`rfc3339`] has formatted.
fn parsed(time: &str) -> SystemTime {
    humantime::parse_rfc3339(time).unwrap_or(SystemTime::UNIX_EPOCH)
}
