//! Flags for certificates from an ACME authority.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use clap::ValueHint;
use http::Uri;
use http::uri::Scheme;

use crate::hex;

/// Maximum number of domains (`--acme`).
pub const DOMAINS_MAX: usize = 100;

/// Maximum length of a domain in bytes. The name of a certificate file is the domain and a suffix,
/// and file systems allow at most 255 bytes for it.
pub const DOMAIN_MAX: usize = 230;

/// Maximum length of a label of a domain in bytes (RFC 1035, section 2.3.4).
const LABEL_MAX: usize = 63;

/// Default URL of the ACME directory of the certificate authority: that of Let's Encrypt.
pub const DIRECTORY: &str = "https://acme-v02.api.letsencrypt.org/directory";

/// Name of the default folder for ACME, which is in the state folder.
pub const FOLDER: &str = "acme";

/// Flags for certificates by ACME.
#[derive(Clone, Debug, PartialEq, Eq, clap::Args)]
#[command(next_help_heading = "Certificates by ACME")]
pub struct AcmeFlags {
    /// Domain for which the server gets a certificate by ACME, and renews it; repeatable, each
    /// domain gets a certificate of its own. The domain has to lead to this server, at port 443 or
    /// 80. Needs --acme-agree, and --acme-dir or --state-dir
    #[arg(long, value_name = "DOMAIN")]
    pub acme: Vec<Domain>,

    /// Agree to the terms of service of the certificate authority; its directory (--acme-directory)
    /// has the address of the terms
    #[arg(long)]
    pub acme_agree: bool,

    /// Mail address that the authority may write to [default: none]
    #[arg(long, value_name = "ADDRESS", value_parser = email)]
    pub acme_email: Option<String>,

    /// Address of the ACME directory of the certificate authority. For tests, use the staging
    /// directory of Let's Encrypt, which allows more orders:
    /// `https://acme-staging-v02.api.letsencrypt.org/directory`
    #[arg(long, value_name = "URL", value_parser = url, default_value = DIRECTORY)]
    pub acme_directory: String,

    /// Certificates of authorities in PEM that the server trusts when it connects to
    /// --acme-directory, for a certificate authority of your own [default: those of the system]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub acme_ca: Option<PathBuf>,

    /// Folder for the account at the certificate authority, the certificates and their keys, for
    /// this user alone [default: the folder acme in --state-dir]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub acme_dir: Option<PathBuf>,
}

/// Domain for which the server gets a certificate, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Returns the domain as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Domain {
    type Err = String;

    fn from_str(text: &str) -> Result<Domain, String> {
        let domain = text.to_ascii_lowercase();
        if domain.starts_with("*.") {
            return Err("a wildcard needs a record in the DNS, which this server cannot set; expected single domains, \
                        or a certificate of another program (--tls-cert)"
                .into());
        }
        if !domain.is_ascii() {
            return Err(
                "expected the form of the DNS for letters outside of ASCII, such as xn--bcher-kva.example"
                    .into(),
            );
        }
        if domain.contains(',') {
            return Err(
                "expected one domain; for several, repeat the flag, or make it an array in the file".into()
            );
        }
        let is_label = |label: &str| {
            (1..=LABEL_MAX).contains(&label.len())
                && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        };
        let is_address =
            domain.rsplit('.').next().is_some_and(|last| last.bytes().all(|byte| byte.is_ascii_digit()));
        if domain.len() > DOMAIN_MAX || is_address || !domain.split('.').all(is_label) {
            return Err(format!("expected a domain such as www.example.com, of at most {DOMAIN_MAX} bytes"));
        }
        Ok(Domain(domain))
    }
}

fn email(text: &str) -> Result<String, String> {
    let is_part = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_graphic() && !b",;:<>()[]\\\"?#%&/@".contains(&byte))
    };
    match text.split_once('@') {
        Some((name, host)) if is_part(name) && is_part(host) && text.len() <= 254 => Ok(text.to_owned()),
        _ => Err("expected a mail address such as admin@example.com".into()),
    }
}

fn url(text: &str) -> Result<String, String> {
    let url = text.parse::<Uri>().ok();
    let is_https =
        |url: &Uri| url.scheme() == Some(&Scheme::HTTPS) && url.host().is_some_and(|host| !host.is_empty());
    match url.is_some_and(|url| is_https(&url)) {
        true => Ok(text.to_owned()),
        false => Err(format!("expected a URL of https, such as {DIRECTORY}")),
    }
}

impl AcmeFlags {
    /// Returns whether a domain is given (`--acme`), so that the server gets certificates through
    /// ACME.
    pub fn is_on(&self) -> bool {
        !self.acme.is_empty()
    }

    /// Checks the flags together: the number of domains, repeated domains, and flags that need
    /// another flag.
    ///
    /// # Errors
    ///
    /// The id of the flag that is wrong, and a message that says what was found and expected.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let count = self.acme.len();
        if count > DOMAINS_MAX {
            return Err(("acme", format!("found {count} domains (--acme); expected at most {DOMAINS_MAX}")));
        }
        if let Some((at, twice)) = self
            .acme
            .iter()
            .enumerate()
            .find(|(at, domain)| self.acme.iter().take(*at).any(|one| one == *domain))
        {
            return Err((
                "acme",
                format!("found {twice} twice, again in place {}; expected each domain once (--acme)", at + 1),
            ));
        }
        if self.is_on() && !self.acme_agree {
            let message = "--acme needs your agreement to the terms of service of the certificate authority; read them, and \
                           give --acme-agree";
            return Err(("acme", message.into()));
        }
        let others = [
            ("acme_agree", self.acme_agree),
            ("acme_email", self.acme_email.is_some()),
            ("acme_ca", self.acme_ca.is_some()),
            ("acme_dir", self.acme_dir.is_some()),
            ("acme_directory", self.acme_directory != DIRECTORY),
        ];
        match others.into_iter().find(|(_, is_given)| *is_given && !self.is_on()) {
            Some((id, _)) => Err((
                id,
                format!("--{} needs a domain; expected --acme DOMAIN with it", id.replace('_', "-")),
            )),
            None => Ok(()),
        }
    }

    /// Returns the name of the folder, inside `--acme-dir`, for the account and the certificates of
    /// one ACME directory (`--acme-directory`). The name consists of the host and a checksum of the
    /// directory's URL, so that each ACME directory has its own folder.
    pub fn name_of_directory(&self) -> String {
        let host = self.acme_directory.parse::<Uri>().ok().and_then(|url| url.host().map(str::to_owned));
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let host: String = host.unwrap_or_default().chars().map(plain).take(DOMAIN_MAX).collect();
        let sum = hex::sha256(self.acme_directory.as_bytes());
        format!("{host}-{}", sum.get(..8).unwrap_or_default())
    }

    /// Returns the path of the folder for the account and the certificates of the chosen ACME
    /// directory; [`None`] without `--acme-dir`.
    pub fn folder(&self) -> Option<PathBuf> {
        self.acme_dir.as_deref().map(|folder| folder.join(self.name_of_directory()))
    }

    /// Returns the domains, each with the path of the file for its certificate and key.
    pub fn files(&self) -> impl Iterator<Item = (&Domain, PathBuf)> {
        let folder = self.folder().unwrap_or_default();
        self.acme.iter().map(move |domain| (domain, file(&folder, domain)))
    }
}

fn file(folder: &Path, domain: &Domain) -> PathBuf {
    folder.join(name_of_file(domain))
}

/// Returns the name of the file that contains the certificate and the key of a domain.
pub fn name_of_file(domain: &Domain) -> String {
    format!("{domain}.pem")
}

#[cfg(test)]
mod tests {
    use super::{Domain, email, url};

    #[test]
    fn a_domain_is_a_name_of_the_dns_and_no_wildcard_or_address() {
        for (text, expected) in
            [("Example.COM", "example.com"), ("a", "a"), ("xn--bcher-kva.example", "xn--bcher-kva.example")]
        {
            assert_eq!(text.parse::<Domain>().unwrap().as_str(), expected);
        }
        let long = format!("{}.example", vec!["a".repeat(63); 4].join("."));
        for text in [
            "", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "a_b", "../x", "a/b", "1.2.3.4", "[::1]", "a b",
            &long,
        ] {
            assert!(text.parse::<Domain>().unwrap_err().starts_with("expected a domain"), "{text}");
        }
        assert!("*.example.com".parse::<Domain>().unwrap_err().starts_with("a wildcard"));
        assert!("b\u{fc}cher.example".parse::<Domain>().unwrap_err().contains("xn--"));
    }

    #[test]
    fn an_address_and_a_url_have_their_form() {
        assert!(email("a.b+c@example.com").is_ok());
        for text in ["", "a", "@", "a@", "@b", "a@b@c", "a b@c", "a@b,c@d", "mailto:a@b"] {
            assert!(email(text).is_err(), "{text}");
        }
        assert!(url("https://127.0.0.1:14000/dir").is_ok());
        for text in ["", "http://a/", "https://", "a.example", "https:///x", "ftp://a"] {
            assert!(url(text).is_err(), "{text}");
        }
    }
}
