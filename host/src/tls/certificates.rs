//! Certificates that the server uses, and the choice of a certificate for each client.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tracing::warn;

use crate::config::acme::Domain;
use crate::in_force::InForce;
use crate::tls::certificate::Certificate;

/// Minimum time between two log lines about handshakes that get no certificate.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Certificates of the server. New handshakes use the set that was published last.
pub struct Certificates {
    /// Set that new handshakes use.
    pub set: InForce<Set>,
    /// Time of the last log line about a handshake that got no certificate.
    said: Mutex<Option<Instant>>,
}

/// Set of certificates, indexed by the names that they are for.
pub struct Set {
    /// Certificates in the order of the flags; those obtained by ACME come last.
    pub all: Vec<Certificate>,
    /// Indexes in `all` of the certificates for each name. A wildcard name is stored without its
    /// star, as `.example.com`.
    by_name: HashMap<String, Vec<usize>>,
    /// Domains whose certificates are obtained by ACME.
    awaited: HashSet<String>,
}

impl Set {
    /// Creates a set. `domains` are those whose certificates are obtained by ACME.
    ///
    /// A client that names no server, or one without a certificate, gets the first certificate with
    /// a key that the client supports. A client that names one of `domains` whose certificate is
    /// still missing gets none, because the client would take a certificate for another name as a
    /// sign of a wrong server.
    pub fn new(all: Vec<Certificate>, domains: &[Domain]) -> Set {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in &certificate.facts.names {
                by_name.entry(name.trim_start_matches('*').into()).or_default().push(index);
            }
        }
        let awaited = domains.iter().map(ToString::to_string).collect();
        Set { all, by_name, awaited }
    }

    /// Returns a copy of the set in which a certificate obtained by ACME replaces the previous one
    /// for its domain.
    pub fn with(&self, got: Certificate, domains: &[Domain]) -> Set {
        let mut all = self.all.clone();
        match all.iter_mut().find(|one| one.domain.is_some() && one.domain == got.domain) {
            Some(before) => *before = got,
            None => all.push(got),
        }
        Set::new(all, domains)
    }

    /// Returns this set with the certificates that were obtained by ACME after `old` was read:
    /// those in `now` that are not in `old`. Skips a certificate if this set has one for the same
    /// domain from another file.
    pub fn with_newer(self, old: &Set, now: &Set, domains: &[Domain]) -> Set {
        let is_newer = |got: &&Certificate, domain: &Domain| {
            domains.contains(domain)
                && old.of_domain(domain).is_none_or(|old| old.facts.sha256 != got.facts.sha256)
                && self.of_domain(domain).is_none_or(|read| read.pair == got.pair)
        };
        let got =
            now.all.iter().filter(|got| got.domain.as_ref().is_some_and(|domain| is_newer(got, domain)));
        let got: Vec<_> = got.cloned().collect();
        got.into_iter().fold(self, |set, got| set.with(got, domains))
    }

    /// Returns the certificate that was obtained by ACME for a domain.
    pub fn of_domain(&self, domain: &Domain) -> Option<&Certificate> {
        self.all.iter().find(|one| one.domain.as_ref() == Some(domain))
    }

    /// Returns the certificate for a server name: the first one for the name or its wildcard whose
    /// key the client supports (`is_known`), or else the first one for the name. If there is none
    /// for the name, chooses among all certificates in the same way, but returns [`None`] for a
    /// name whose certificate is still to be obtained by ACME.
    fn find(&self, name: Option<&str>, is_known: impl Fn(&Certificate) -> bool) -> Option<&Certificate> {
        let name = name.map(str::to_ascii_lowercase);
        // A wildcard stands for one label: ".example.com" is for "*.example.com".
        let parent = name.as_deref().and_then(|name| name.find('.').and_then(|dot| name.get(dot..)));
        let of = |name: Option<&str>| name.and_then(|name| self.by_name.get(name)).into_iter().flatten();
        let mut named =
            of(name.as_deref()).chain(of(parent)).filter_map(|index| self.all.get(*index)).peekable();
        let is_awaited = name.as_ref().is_some_and(|name| self.awaited.contains(name));
        let others = if named.peek().is_none() && !is_awaited { self.all.as_slice() } else { &[] };
        let first = named.peek().copied().or(others.first());
        named.chain(others).find(|certificate| is_known(certificate)).or(first)
    }
}

impl Certificates {
    /// Creates the certificates of the server. New handshakes use `set`.
    pub fn new(set: Set) -> Certificates {
        Certificates { set: InForce::new(set), said: Mutex::default() }
    }

    /// Logs that a handshake is refused, because there is no certificate for its server name yet.
    /// Logs at most one line per `SAY_AGAIN`.
    fn refuse(&self, name: Option<&str>) {
        let mut said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_none_or(|said| said.elapsed() > SAY_AGAIN) {
            *said = Some(Instant::now());
            warn!(
                name,
                "TLS handshakes are refused until the first certificate is got (--acme); host cert shows how far that is"
            );
        }
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_known = |certificate: &Certificate| {
            certificate.certified.key.choose_scheme(client.signature_schemes()).is_some()
        };
        let set = self.set.get();
        let found = set.find(client.server_name(), is_known).map(|found| Arc::clone(&found.certified));
        if found.is_none() {
            self.refuse(client.server_name());
        }
        found
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.set.get().all.iter().map(|certificate| &certificate.facts)).finish()
    }
}
