//! Keeps the certificates of the server: reads them, replaces them when their files have changed,
//! and warns before they expire. A certificate that is refused never replaces a good one.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use host_wasm::health;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use rustls::server::ClientHello;
use tracing::{info, warn};

use crate::config::acme::Domain;
use crate::config::tls::TlsFlags;
use crate::events::event::Event;
use crate::events::hub::Events;
use crate::files::stamp::{self, FileStamp};
use crate::in_force::InForce;
use crate::tls::certificate::{Certificate, Pair};
use crate::tls::certificates::{Certificates, Set};
use crate::tls::challenges::Challenges;
use crate::tls::doubts;
use crate::tls::orders::Orders;
use crate::tls::shown::{AllShown, Shown};
use crate::tls::terms;

/// Interval at which the files of certificates and keys are checked for changes.
const LOOK: Duration = Duration::from_millis(500);

/// Time after which refused files are tried again, because a certificate may have become valid
/// meanwhile.
const RETRY: Duration = Duration::from_secs(5);

/// Interval at which the warnings about certificates are repeated.
const WARN_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// Certificates and TLS configuration of the server.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
    terms: InForce<ServerConfig>,
    /// Flags and files from which the certificates were read. Locked while the certificates are
    /// replaced.
    source: Mutex<Source>,
    events: Arc<Events>,
    /// ACME challenges that are in flight.
    pub challenges: Arc<Challenges>,
    /// State of the ACME orders for certificates.
    pub orders: Orders,
}

struct Source {
    flags: TlsFlags,
    /// Stamps (metadata) of the files, taken before the files were last read.
    seen: Vec<Option<FileStamp>>,
    /// Why the current content of the files is refused, and when it was last tried.
    refused: Option<(String, Instant)>,
}

/// Certificates and TLS configuration that were read, and are not published yet.
pub struct Ready {
    tls: Arc<Tls>,
    flags: TlsFlags,
    seen: Vec<Option<FileStamp>>,
    set: Set,
    /// Set of certificates that was in use just before the files were read.
    old: Arc<Set>,
    /// Why the file of a certificate obtained by ACME is refused; [`None`] if none is refused.
    refused: Option<String>,
    terms: Option<ServerConfig>,
}

impl Ready {
    /// Publishes the certificates and the TLS configuration for new connections.
    pub fn publish(self) {
        let tls = Arc::clone(&self.tls);
        tls.replace(&mut tls.source(), self);
        tls.warn();
    }
}

/// Checks that the files that the flags name can be used. Returns doubts about the certificates, one
/// line each.
///
/// # Errors
///
/// The id of the flag that names the file that cannot be used, and one line: what was found, and what
/// was expected.
pub fn check(flags: &TlsFlags) -> Result<Vec<String>, (&'static str, anyhow::Error)> {
    let provider = terms::provider();
    for pair in pairs(flags) {
        pair.check_cert().map_err(|error| ("tls_cert", error))?;
        pair.read(&provider).map_err(|error| ("tls_key", error))?;
    }
    let (set, _, _) = read(flags, &provider, None).map_err(|error| ("tls_cert", error))?;
    let doubts = doubts::texts(&set).into_iter().chain(terms::doubt(flags)).collect();
    let certificates = Arc::new(Certificates::new(set));
    terms::new(flags, &provider, &certificates).map_err(|error| ("tls_client_ca", error))?;
    Ok(doubts)
}

impl Tls {
    /// Reads the certificates that the flags name. Returns [`None`] if the flags turn TLS off.
    ///
    /// # Errors
    ///
    /// One line: which file cannot be used, what was found, and what was expected.
    pub fn new(flags: &TlsFlags, events: &Arc<Events>) -> anyhow::Result<Option<Tls>> {
        if !flags.is_on() {
            return Ok(None);
        }
        let provider = terms::provider();
        let seen = stamps(flags);
        let (set, refused, _) = read(flags, &provider, None)?;
        refused.iter().for_each(|cause| warn!(cause, "a certificate is not used: another one is ordered"));
        let certificates = Arc::new(Certificates::new(set));
        let terms = InForce::new(terms::new(flags, &provider, &certificates)?);
        let refused = refused.map(|cause| (cause, Instant::now()));
        let source = Mutex::new(Source { flags: flags.clone(), seen, refused });
        let (events, challenges, orders) = (Arc::clone(events), Arc::default(), Orders::default());
        let tls = Tls { provider, certificates, terms, source, events, challenges, orders };
        tls.warn();
        terms::doubt(flags).iter().for_each(|doubt| warn!("{doubt}"));
        Ok(Some(tls))
    }

    /// Returns the TLS configuration for a new connection: that of an ACME challenge if the client
    /// asks for one, otherwise that of the server.
    pub fn terms(&self, client: &ClientHello<'_>) -> Arc<ServerConfig> {
        self.challenges.terms(client).unwrap_or_else(|| self.terms.get())
    }

    /// Returns the cryptography provider of the server.
    pub fn provider(&self) -> &Arc<CryptoProvider> {
        &self.provider
    }

    /// Returns the certificate that was obtained by ACME for a domain, if there is one.
    pub fn of_domain(&self, domain: &Domain) -> Option<Certificate> {
        self.certificates.set.get().of_domain(domain).cloned()
    }

    /// Publishes a certificate that was obtained by ACME, in place of the previous one for its
    /// domain. Does nothing if the flags no longer name the domain.
    pub fn publish(&self, got: Certificate) {
        let source = self.source();
        // A reload may have taken the domain out.
        if !source.flags.acme.acme.iter().any(|domain| got.domain.as_ref() == Some(domain)) {
            return;
        }
        let old = self.certificates.set.get();
        let new = old.with(got, &source.flags.acme.acme);
        self.tell(&old, &new);
        self.certificates.set.set(new);
    }

    /// Returns the certificates and ACME orders as the API shows them.
    pub fn shown(&self) -> AllShown {
        let set = self.certificates.set.get();
        let shown = |one: &Certificate| Shown { file: one.pair.cert.clone(), facts: one.facts.clone() };
        AllShown {
            certificates: set.all.iter().map(shown).collect(),
            refused: self.source().refused.as_ref().map(|(cause, _)| cause.clone()),
            orders: self.orders.shown(),
        }
    }

    /// Reads the files that these flags name, and checks what is in them. Nothing changes until
    /// [`Ready::publish`].
    ///
    /// # Errors
    ///
    /// One line: which file cannot be used, what was found, and what was expected.
    pub fn prepare(self: &Arc<Self>, flags: &TlsFlags) -> anyhow::Result<Ready> {
        let seen = stamps(flags);
        let (now, old) = (SystemTime::now(), self.certificates.set.get());
        let (set, refused, is_lost) = read(flags, &self.provider, Some(&old))?;
        if is_lost {
            self.orders.lost.notify_one();
        }
        // A certificate that serves already goes on, even if it has expired.
        let is_new = |one: &&Certificate| old.all.iter().all(|old| old.facts.sha256 != one.facts.sha256);
        for one in set.all.iter().filter(is_new).filter(|one| one.domain.is_none()) {
            one.facts.check(now).with_context(|| one.pair.context())?;
        }
        let before = self.source().flags.clone();
        // Who may come has changed, or may have: then no ticket counts that was given out before.
        let has_terms = before.terms() != flags.terms() || flags.tls_client_ca.is_some();
        let terms = has_terms.then(|| terms::new(flags, &self.provider, &self.certificates)).transpose()?;
        Ok(Ready { tls: Arc::clone(self), flags: flags.clone(), seen, set, old, refused, terms })
    }

    fn replace(&self, source: &mut Source, Ready { flags, seen, set, old, refused, terms, .. }: Ready) {
        let now = self.certificates.set.get();
        // An order may have ended since the files were read.
        let set = set.with_newer(&old, &now, &flags.acme.acme);
        self.tell(&now, &set);
        self.certificates.set.set(set);
        if let Some(terms) = terms {
            self.terms.set(terms);
        }
        let before = source.refused.take();
        *source = Source { flags, seen, refused: None };
        if let Some(cause) = refused {
            self.refuse(source, before, cause);
        }
    }

    /// Records why files are refused. Logs the cause and sends it as an event, unless the previous
    /// refusal, `before`, has the same cause.
    fn refuse(&self, source: &mut Source, before: Option<(String, Instant)>, cause: String) {
        if before.is_none_or(|(before, _)| before != cause) {
            warn!(cause, "a certificate is not replaced: the one before it goes on");
            self.events.tell(&Event::certificate_refused(&cause));
        }
        source.refused = Some((cause, Instant::now()));
    }

    /// Logs the certificates that are only in `new`, sends events about them, and warns of names
    /// that are only in `old`.
    fn tell(&self, old: &Set, new: &Set) {
        let names = |set: &Set| -> BTreeSet<String> {
            set.all.iter().flat_map(|one| one.facts.names.iter().cloned()).collect()
        };
        let lost: Vec<_> = names(old).difference(&names(new)).cloned().collect();
        for one in &new.all {
            if old.all.iter().any(|old| old.facts.sha256 == one.facts.sha256) {
                continue;
            }
            let (file, names) = (one.pair.cert.display().to_string(), one.facts.names.join(" "));
            let not_after = &one.facts.not_after;
            info!(file, names, not_after, "certificate published for new connections");
            self.events.tell(&Event::certificate(&file, &one.facts.names, not_after));
        }
        if !lost.is_empty() {
            warn!(names = lost.join(" "), "no certificate has these names any more");
        }
    }

    /// Warns of certificates that are not valid or expire soon, and of private keys that are open to
    /// all users.
    fn warn(&self) {
        doubts::warn(&self.certificates.set.get());
    }

    /// Starts a thread that checks the files for changes, and publishes new certificates.
    ///
    /// # Errors
    ///
    /// When the system cannot create a thread.
    pub fn watch(self: Arc<Self>) -> io::Result<()> {
        let (mut last, mut warned) = (Vec::new(), Instant::now());
        health::keep_running("certificates", move || {
            loop {
                thread::sleep(LOOK);
                self.look(&mut last);
                if warned.elapsed() > WARN_AGAIN {
                    warned = Instant::now();
                    self.warn();
                }
            }
        })?;
        Ok(())
    }

    /// Reads the files and publishes the certificates, if the files have changed, or if they were
    /// refused more than `RETRY` ago. Waits until two checks in a row have found the same stamps,
    /// so that no write is in progress.
    fn look(self: &Arc<Self>, last: &mut Vec<Option<FileStamp>>) {
        let (flags, seen, is_due) = {
            let source = self.source();
            let is_due = source.refused.as_ref().is_some_and(|(_, tried)| tried.elapsed() > RETRY);
            (source.flags.clone(), source.seen.clone(), is_due)
        };
        let now = stamps(&flags);
        let is_steady = now == *last;
        *last = now;
        if !is_steady || *last == seen && !is_due {
            return;
        }
        let prepared = self.prepare(&flags);
        let mut source = self.source();
        // A reload may have named other files.
        if source.flags != flags {
            return;
        }
        match prepared {
            Ok(ready) => {
                self.replace(&mut source, ready);
                drop(source);
                self.warn();
            }
            Err(cause) => {
                source.seen.clone_from(last);
                let before = source.refused.take();
                self.refuse(&mut source, before, format!("{cause:#}"));
            }
        }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Reads the certificates that the flags name, and those that were obtained by ACME. If the file
/// for an ACME domain is missing or bad, uses the certificate of that domain from `old`, if there
/// is one. Also returns what is wrong with the first bad file, and whether a certificate of `old` is
/// used because its file is missing or bad.
///
/// # Errors
///
/// One line: which file cannot be used, what was found, and what was expected.
fn read(
    flags: &TlsFlags,
    provider: &CryptoProvider,
    old: Option<&Set>,
) -> anyhow::Result<(Set, Option<String>, bool)> {
    let mut all: Vec<_> = pairs(flags).map(|pair| pair.read(provider)).collect::<Result<_, _>>()?;
    let mut refused = None;
    if all.is_empty() && !flags.acme.is_on() {
        bail!("there is no certificate; expected --tls-cert FILE or --acme DOMAIN");
    }
    let mut is_lost = false;
    for (domain, file) in flags.acme.files() {
        let read = Certificate::read_domain(domain, &file, provider).unwrap_or_else(|error| {
            refused.get_or_insert(format!("{error:#}"));
            None
        });
        let before = || old.and_then(|old| old.of_domain(domain)).cloned();
        let kept = read.is_none().then(before).flatten();
        is_lost |= kept.is_some();
        all.extend(read.or(kept));
    }
    Ok((Set::new(all, &flags.acme.acme), refused, is_lost))
}

fn pairs(flags: &TlsFlags) -> impl Iterator<Item = Pair> {
    flags.tls_cert.iter().zip(&flags.tls_key).map(|(cert, key)| Pair { cert: cert.clone(), key: key.clone() })
}

/// Returns the stamps of all files that the flags name.
fn stamps(flags: &TlsFlags) -> Vec<Option<FileStamp>> {
    let all = flags.tls_cert.iter().chain(&flags.tls_key).chain(&flags.tls_client_ca).cloned();
    all.chain(flags.acme.files().map(|(_, path)| path)).map(|path| stamp::look(&path)).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::sync::Arc;

    use clap::Parser;
    use rcgen::{CertificateParams, KeyPair};

    use super::Tls;
    use crate::config::acme::Domain;
    use crate::config::tls::TlsFlags;
    use crate::tls::certificate::Certificate;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        tls: TlsFlags,
    }

    /// Returns a certificate for a domain and its key, in PEM.
    fn issued(domain: &Domain) -> String {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec![domain.to_string()]).unwrap();
        key.serialize_pem() + &params.self_signed(&key).unwrap().pem()
    }

    #[test]
    fn an_order_that_ends_while_files_are_read_keeps_its_certificate() {
        let folder = std::env::temp_dir().join(format!("keeper-{}", std::process::id()));
        let flags = |directory: &str, domain: &str| {
            let place = folder.to_str().unwrap();
            let line = ["host", "--acme-directory", directory, "--acme-dir", place, "--acme", domain];
            Line::parse_from(line).tls
        };
        let here = flags("https://here/", "a.test");
        let (domain, file) = here.acme.files().map(|(domain, file)| (domain.clone(), file)).next().unwrap();
        let write = |file: &Path, text: &str| {
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, text).unwrap();
        };
        let [old, new, newer, other] = [(); 4].map(|()| issued(&domain));
        write(&file, &old);
        let tls = Arc::new(Tls::new(&here, &Arc::default()).unwrap().unwrap());
        let certificate =
            |text: &str| Certificate::of_domain(&domain, text.as_bytes(), &file, tls.provider()).unwrap();
        let serves = |text: Option<&str>| {
            let served = tls.of_domain(&domain).map(|one| one.facts.sha256);
            assert_eq!(served, text.map(|text| certificate(text).facts.sha256));
        };
        serves(Some(&old));
        // A look, or a reload, has read the old file.
        let ready = tls.prepare(&here).unwrap();
        write(&file, &new);
        tls.publish(certificate(&new));
        ready.publish();
        serves(Some(&new));
        // A file that was written by another process is newer than what was got before.
        write(&file, &newer);
        tls.prepare(&here).unwrap().publish();
        serves(Some(&newer));
        // Another directory has a certificate of its own, and a domain that is taken out has none.
        let there = flags("https://there/", "a.test");
        write(&there.acme.files().next().unwrap().1, &other);
        let ready = tls.prepare(&there).unwrap();
        tls.publish(certificate(&new));
        ready.publish();
        serves(Some(&other));
        let ready = tls.prepare(&flags("https://here/", "b.test")).unwrap();
        tls.publish(certificate(&old));
        ready.publish();
        serves(None);
        fs::remove_dir_all(&folder).unwrap();
    }
}
