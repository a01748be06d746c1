//! Certificates in force, and the choice of the one that a client gets.

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

/// Shortest time between two lines of the log about handshakes that get no certificate.
const SAY_AGAIN: Duration = Duration::from_secs(60);

/// Certificates of the server. New handshakes get those that were published last.
pub struct Certificates {
    /// Certificates in force.
    pub set: InForce<Set>,
    /// When the log last said that a handshake got none.
    said: Mutex<Option<Instant>>,
}

/// Certificates with the names that they are for.
pub struct Set {
    /// Certificates in the order of the flags.
    pub all: Vec<Certificate>,
    /// Indexes of those that have a name; a wildcard is there without its star.
    by_name: HashMap<String, Vec<usize>>,
    /// Domains that are to get a certificate by ACME.
    awaited: HashSet<String>,
}

impl Set {
    /// Gathers certificates. The first with a key that the client knows is for those that ask for no
    /// name, or for one that none has. If the name is one of `domains`, they get none: that of another
    /// name would tell them that the server is not the one that they look for.
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

    /// Returns the set with a certificate that was got by ACME, in the place of the one before it for
    /// the same domain.
    pub fn with(&self, got: Certificate, domains: &[Domain]) -> Set {
        let mut all = self.all.clone();
        match all.iter_mut().find(|one| one.domain.is_some() && one.domain == got.domain) {
            Some(before) => *before = got,
            None => all.push(got),
        }
        Set::new(all, domains)
    }

    /// Returns the certificate that was got for a domain by ACME.
    pub fn of_domain(&self, domain: &Domain) -> Option<&Certificate> {
        self.all.iter().find(|one| one.domain.as_ref() == Some(domain))
    }

    /// Returns the certificate for a name: one that has it, or a wildcard for it, with a key that
    /// `is_known` to the client; of several the first. For other names, that is one of all.
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
    /// Puts the first certificates in force.
    pub fn new(set: Set) -> Certificates {
        Certificates { set: InForce::new(set), said: Mutex::default() }
    }

    /// Says that a handshake is refused, because no certificate is there yet.
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
