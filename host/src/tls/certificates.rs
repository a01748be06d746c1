//! Certificates in force, and the choice of the one that a client gets.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;

use crate::in_force::InForce;
use crate::tls::certificate::Certificate;

/// Certificates of the server. New handshakes get those that were published last.
pub struct Certificates(pub InForce<Set>);

/// Certificates with the names that they are for.
pub struct Set {
    /// Certificates in the order of the flags.
    pub all: Vec<Certificate>,
    /// Indexes of those that have a name; a wildcard is there without its star.
    by_name: HashMap<String, Vec<usize>>,
}

impl Set {
    /// Gathers certificates, at least one. The first with a key that the client knows is for those
    /// that ask for no name, or for one that none has.
    pub fn new(all: Vec<Certificate>) -> Set {
        let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
        for (index, certificate) in all.iter().enumerate() {
            for name in &certificate.facts.names {
                by_name.entry(name.trim_start_matches('*').into()).or_default().push(index);
            }
        }
        Set { all, by_name }
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
        let others = if named.peek().is_none() { self.all.as_slice() } else { &[] };
        let first = named.peek().copied().or(self.all.first());
        named.chain(others).find(|certificate| is_known(certificate)).or(first)
    }
}

impl ResolvesServerCert for Certificates {
    fn resolve(&self, client: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let is_known = |certificate: &Certificate| {
            certificate.certified.key.choose_scheme(client.signature_schemes()).is_some()
        };
        self.0.get().find(client.server_name(), is_known).map(|found| Arc::clone(&found.certified))
    }
}

impl fmt::Debug for Certificates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.get().all.iter().map(|certificate| &certificate.facts)).finish()
    }
}
