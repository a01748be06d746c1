//! Certificate authority for this machine only, and the certificate that it issues, for
//! `host dev --https`. If the authority's key is stolen, name constraints prevent certificates for
//! other names, and the key usage prevents certificates for mail or programs.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, SystemTime};

use anyhow::{Context, anyhow, bail, ensure};
use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use crate::hex;
use crate::tls::facts::Facts;

/// Names of this machine, which every issued certificate contains.
const NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Validity of a new authority.
const AUTHORITY_TIME: Duration = DAY.saturating_mul(10 * 365);

/// Validity of an issued certificate. Browsers accept at most 397 days.
const CERTIFICATE_TIME: Duration = DAY.saturating_mul(365);

/// Minimum remaining validity. A certificate with less is issued anew; an authority with less is
/// refused.
const RENEWED_BEFORE: Duration = DAY.saturating_mul(30);

/// Time before its creation at which a certificate becomes valid, because clocks differ.
const SINCE: Duration = DAY;

/// Number of hexadecimal digits of the key's SHA-256 in the name of an authority.
const KEY_SHOWN: usize = 8;

/// Certificate authority for this machine.
pub struct Authority {
    key: KeyPair,
    cert: String,
    not_after: SystemTime,
    /// Whether the certificate of the authority restricts it to certificates for servers.
    pub is_for_servers: bool,
}

impl Authority {
    /// Creates an authority with a new key.
    ///
    /// # Errors
    ///
    /// When the system has no random bits.
    pub fn new(now: SystemTime) -> anyhow::Result<Authority> {
        let key = KeyPair::generate()?;
        let not_after = now + AUTHORITY_TIME;
        let mut params = params_of(&key);
        (params.not_before, params.not_after) = ((now - SINCE).into(), not_after.into());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        // Name constraints say nothing of addresses of mail.
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.name_constraints = Some(NameConstraints {
            // With all names below it.
            permitted_subtrees: vec![
                GeneralSubtree::DnsName("localhost".into()),
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(
                    Ipv4Addr::new(127, 0, 0, 0).into(),
                    8,
                )),
                GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(Ipv6Addr::LOCALHOST.into(), 128)),
            ],
            excluded_subtrees: Vec::new(),
        });
        let cert = params.self_signed(&key)?.pem();
        Ok(Authority { key, cert, not_after, is_for_servers: true })
    }

    /// Reads the certificate and the key of an authority, both in PEM.
    ///
    /// # Errors
    ///
    /// One line: what is wrong with the certificate or the key, or that the authority has expired
    /// or expires within 30 days.
    pub fn read(cert: &str, key: &str, now: SystemTime) -> anyhow::Result<Authority> {
        let key = KeyPair::from_pem(key).map_err(|error| anyhow!("the key is none in PEM: {error}"))?;
        let der = der(cert)?;
        let (_, found) = X509Certificate::from_der(&der).context("the certificate is malformed")?;
        let of_key = &*found.public_key().subject_public_key.data == key.der_bytes();
        ensure!(of_key, "the key is not that of the certificate");
        let is_authority = found.is_ca() && found.subject().to_string() == subject(&key);
        ensure!(is_authority, "the certificate is not that of an authority which host dev has made");
        let not_after = u64::try_from(found.validity().not_after.timestamp()).unwrap_or_default();
        let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(not_after);
        if not_after < now + RENEWED_BEFORE {
            bail!("its time is over, or ends within 30 days; remove the folder to begin with a new one");
        }
        let is_for_servers = found.extended_key_usage().is_ok_and(|usage| usage.is_some());
        Ok(Authority { key, cert: cert.to_owned(), not_after, is_for_servers })
    }

    /// Returns the certificate in PEM.
    pub fn cert(&self) -> &str {
        &self.cert
    }

    /// Returns the private key in PEM.
    pub fn key(&self) -> String {
        self.key.serialize_pem()
    }

    /// Issues a certificate for this machine and for `names`. Returns the certificate with its
    /// private key, both in PEM.
    ///
    /// # Errors
    ///
    /// When the system has no random bits.
    pub fn issue(&self, names: &[String], now: SystemTime) -> anyhow::Result<String> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(with_own(names))?;
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, "localhost");
        (params.not_before, params.not_after) =
            ((now - SINCE).into(), (now + CERTIFICATE_TIME).min(self.not_after).into());
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        params.use_authority_key_identifier_extension = true;
        let issuer = Issuer::new(params_of(&self.key), &self.key);
        let cert = params.signed_by(&key, &issuer)?;
        Ok(format!("{}{}", cert.pem(), key.serialize_pem()))
    }

    /// Returns [`None`] if the certificate `issued` is still good and contains `names`. Otherwise
    /// returns the names for a new certificate: `names`, and the local names in `issued`.
    ///
    /// # Errors
    ///
    /// When the text is not a certificate with its key.
    pub fn renews(
        &self,
        issued: &str,
        names: &[String],
        now: SystemTime,
    ) -> anyhow::Result<Option<Vec<String>>> {
        let facts = Facts::of_chain(std::iter::once(&*der(issued)?))?;
        PrivateKeyDer::from_pem_slice(issued.as_bytes())
            .map_err(|error| anyhow!("it has no key in PEM: {error}"))?;
        let has_all = with_own(names).iter().all(|name| facts.names.contains(name));
        let is_own = facts.issuer == subject(&self.key);
        if has_all && is_own && facts.check(now).is_ok() && facts.not_after() >= now + RENEWED_BEFORE {
            return Ok(None);
        }
        let mut all = names.to_vec();
        all.extend(facts.names.into_iter().filter(|name| is_local(name)));
        Ok(Some(all))
    }
}

/// Returns whether the authority may issue a certificate for a name or an address.
pub fn is_local(name: &str) -> bool {
    match name.parse::<IpAddr>() {
        Ok(address) => address.is_loopback(),
        Err(_) => name == "localhost" || name.ends_with(".localhost"),
    }
}

/// Returns `names` and the names that every certificate has, without duplicates.
fn with_own(names: &[String]) -> Vec<String> {
    let mut all: Vec<String> = NAMES.map(str::to_owned).into();
    for name in names {
        if !all.contains(name) {
            all.push(name.clone());
        }
    }
    all
}

/// Returns the parameters with which an authority signs certificates: its name, made from this key,
/// and its key usages.
fn params_of(key: &KeyPair) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name_of(key));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// Returns the name of the authority with this key. Each key gives a different name, because
/// programs look up an authority by its name.
fn name_of(key: &KeyPair) -> String {
    let sha256 = hex::sha256(key.der_bytes());
    format!("host dev {}", sha256.get(..KEY_SHOWN).unwrap_or_default())
}

fn subject(key: &KeyPair) -> String {
    format!("CN={}", name_of(key))
}

/// Returns the first certificate in a PEM text, in DER.
fn der(pem: &str) -> anyhow::Result<CertificateDer<'static>> {
    CertificateDer::from_pem_slice(pem.as_bytes())
        .map_err(|error| anyhow!("there is no certificate in PEM: {error}"))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use x509_parser::certificate::X509Certificate;
    use x509_parser::extensions::{ExtendedKeyUsage, GeneralName};
    use x509_parser::prelude::FromDer;

    use super::{Authority, CERTIFICATE_TIME, DAY, RENEWED_BEFORE, der, is_local};

    #[test]
    fn an_authority_may_issue_for_this_machine_alone() {
        let now = SystemTime::now();
        let authority = Authority::new(now).unwrap();
        let der = der(authority.cert()).unwrap();
        let (_, found) = X509Certificate::from_der(&der).unwrap();
        let constraints = found.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let issued = super::der(&authority.issue(&[], now).unwrap()).unwrap();
        let (_, issued) = X509Certificate::from_der(&issued).unwrap();
        let of_servers = ExtendedKeyUsage {
            any: false,
            server_auth: true,
            client_auth: false,
            code_signing: false,
            email_protection: false,
            time_stamping: false,
            ocsp_signing: false,
            other: Vec::new(),
        };
        for cert in [&found, &issued] {
            assert_eq!(cert.extended_key_usage().unwrap().unwrap().value, &of_servers);
        }
        let names = found.name_constraints().unwrap().unwrap();
        assert!(names.critical && names.value.excluded_subtrees.is_none());
        let permitted: Vec<_> =
            names.value.permitted_subtrees.iter().flatten().map(|tree| tree.base.clone()).collect();
        let mut six = [0xff; 32];
        six[..15].fill(0);
        six[15] = 1;
        let expected = [
            GeneralName::DNSName("localhost"),
            GeneralName::IPAddress(&[127, 0, 0, 0, 255, 0, 0, 0]),
            GeneralName::IPAddress(&six),
        ];
        assert_eq!(permitted, expected);
        for (name, expected) in [
            ("localhost", true),
            ("shop.localhost", true),
            ("127.9.0.1", true),
            ("::1", true),
            ("localhost.example", false),
            ("xlocalhost", false),
            ("10.0.0.1", false),
            ("0.0.0.0", false),
            ("::", false),
        ] {
            assert_eq!(is_local(name), expected, "{name}");
        }
    }

    #[test]
    fn a_certificate_is_issued_anew_when_it_has_to_be() {
        let now = SystemTime::now();
        let made = Authority::new(now).unwrap();
        let (cert, key) = (made.cert().to_owned(), made.key());
        let authority = Authority::read(&cert, &key, now).unwrap();
        let shop = ["shop.localhost".to_owned()];
        let issued = authority.issue(&shop, now).unwrap();
        let renews = |authority: &Authority, names: &[String], now| {
            authority.renews(&issued, names, now).unwrap().map(|names| names.join(" "))
        };
        assert_eq!(renews(&authority, &[], now), None);
        assert_eq!(renews(&authority, &shop, now + CERTIFICATE_TIME - RENEWED_BEFORE - DAY), None);
        let all = "shop.localhost localhost 127.0.0.1 ::1 shop.localhost";
        let near = now + CERTIFICATE_TIME - RENEWED_BEFORE + DAY;
        assert_eq!(renews(&authority, &shop, near).as_deref(), Some(all));
        assert!(renews(&authority, &["127.0.0.2".to_owned()], now).is_some());
        assert!(renews(&Authority::new(now).unwrap(), &[], now).is_some(), "another authority");
        // The end of the authority is that of its certificates.
        let last = now + super::AUTHORITY_TIME - RENEWED_BEFORE;
        assert!(Authority::read(&cert, &key, last + DAY).is_err());
        let issued = Authority::read(&cert, &key, last - DAY).unwrap().issue(&[], last - DAY).unwrap();
        let der = der(&issued).unwrap();
        let end = X509Certificate::from_der(&der).unwrap().1.validity().not_after.timestamp() as u64;
        let seconds = |time: SystemTime| time.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        assert_eq!(end, seconds(now + super::AUTHORITY_TIME));
    }

    #[test]
    fn what_is_no_authority_is_refused() {
        let now = SystemTime::now();
        let [one, other] = [(); 2].map(|()| Authority::new(now).unwrap());
        let issued = one.issue(&[], now).unwrap();
        let issued_key = &issued[issued.find("-----BEGIN PRIVATE KEY").unwrap()..];
        for (cert, key, expected) in [
            ("", &*one.key(), "there is no certificate in PEM"),
            (one.cert(), "", "the key is none in PEM"),
            (one.cert(), one.cert(), "the key is none in PEM"),
            (one.cert(), &other.key(), "the key is not that of the certificate"),
            (&*issued, issued_key, "the certificate is not that of an authority"),
        ] {
            let found = Authority::read(cert, key, now).err().unwrap().to_string();
            assert!(found.contains(expected), "{found}");
        }
        assert!(one.renews("", &[], now).is_err());
        assert!(one.renews(one.cert(), &[], now).is_err());
    }
}
