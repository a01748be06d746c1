//! ACME challenges in flight: what a certificate authority requests from this server to verify that
//! the server controls a domain.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::ServerConfig;
use rustls::server::ClientHello;

/// ALPN protocol with which a client asks for the certificate of a TLS-ALPN-01 challenge (RFC 8737,
/// section 6.2).
pub const PROTOCOL: &[u8] = b"acme-tls/1";

/// Prefix of the paths of HTTP-01 challenges (RFC 8555, section 8.3).
const PATH: &str = "/.well-known/acme-challenge/";

/// Maximum number of challenges in flight.
pub const CHALLENGES_MAX: usize = 16;

/// ACME challenge, with the answer for the certificate authority.
pub enum Challenge {
    /// HTTP-01, answered with a text over plain HTTP.
    Http {
        /// Last segment of the path that the authority asks for.
        token: String,
        /// Body of the response.
        answer: String,
    },
    /// TLS-ALPN-01, answered with a certificate in a TLS handshake.
    Tls {
        /// Domain that the authority names in the handshake (SNI).
        domain: String,
        /// TLS configuration that presents the certificate of the challenge.
        terms: Arc<ServerConfig>,
    },
}

/// Challenges that are in flight.
#[derive(Default)]
pub struct Challenges {
    all: Mutex<Vec<(u64, Challenge)>>,
    /// Number of challenges in flight. While it is 0, requests and handshakes need not take the
    /// lock.
    count: AtomicUsize,
}

/// Guard of a challenge in flight. The server answers the challenge until the guard is dropped.
pub struct InFlight {
    challenges: Arc<Challenges>,
    number: u64,
}

impl Challenges {
    /// Begins to answer a challenge. Returns [`None`] if [`CHALLENGES_MAX`] are in flight.
    pub fn begin(self: &Arc<Self>, challenge: Challenge) -> Option<InFlight> {
        let mut all = self.lock();
        if all.len() >= CHALLENGES_MAX {
            return None;
        }
        let number = all.last().map_or(0, |(number, _)| number + 1);
        all.push((number, challenge));
        self.count.store(all.len(), Relaxed);
        Some(InFlight { challenges: Arc::clone(self), number })
    }

    /// Returns the answer to a request for a path, if the path is that of an HTTP-01 challenge in
    /// flight.
    pub fn answer(&self, path: &str) -> Option<String> {
        if self.count.load(Relaxed) == 0 {
            return None;
        }
        let asked = path.strip_prefix(PATH)?;
        self.lock().iter().find_map(|(_, challenge)| match challenge {
            Challenge::Http { token, answer } if token == asked => Some(answer.clone()),
            _ => None,
        })
    }

    /// Returns the TLS configuration for a client that asks for the certificate of a TLS-ALPN-01
    /// challenge in flight, and offers no other protocol.
    pub fn terms(&self, client: &ClientHello<'_>) -> Option<Arc<ServerConfig>> {
        if self.count.load(Relaxed) == 0 || !client.alpn()?.eq([PROTOCOL]) {
            return None;
        }
        let asked = client.server_name()?.to_ascii_lowercase();
        self.lock().iter().find_map(|(_, challenge)| match challenge {
            Challenge::Tls { domain, terms } if *domain == asked => Some(Arc::clone(terms)),
            _ => None,
        })
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(u64, Challenge)>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut all = self.challenges.lock();
        all.retain(|(number, _)| *number != self.number);
        self.challenges.count.store(all.len(), Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{CHALLENGES_MAX, Challenge, Challenges};

    #[test]
    fn a_token_is_answered_while_it_is_in_flight() {
        let challenges = Arc::<Challenges>::default();
        let begin = |name: &str| {
            challenges.begin(Challenge::Http { token: name.into(), answer: format!("{name}.key") })
        };
        let path = "/.well-known/acme-challenge/a";
        assert_eq!(challenges.answer(path), None);
        let (one, other) = (begin("a").unwrap(), begin("b").unwrap());
        assert_eq!(challenges.answer(path).as_deref(), Some("a.key"));
        for path in [
            "/a",
            "/.well-known/acme-challenge/",
            "/.well-known/acme-challenge/c",
            "/.well-known/acme-challenge/a/",
        ] {
            assert_eq!(challenges.answer(path), None, "{path}");
        }
        drop(one);
        assert_eq!(challenges.answer(path), None);
        assert!(challenges.answer("/.well-known/acme-challenge/b").is_some());
        let more: Vec<_> = (0..CHALLENGES_MAX).filter_map(|number| begin(&number.to_string())).collect();
        assert_eq!(more.len(), CHALLENGES_MAX - 1);
        drop((other, more));
        assert!(begin("a").is_some());
    }
}
