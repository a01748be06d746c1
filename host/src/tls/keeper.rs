//! Keeps the certificates of the server: reads them, replaces them when their files have changed,
//! and warns before they expire. A certificate that is refused never replaces a good one.

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, bail};
use host_wasm::health;
use rustls::ServerConfig;
use rustls::crypto::CryptoProvider;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use crate::config::tls::TlsFlags;
use crate::events::event::Event;
use crate::events::hub::Events;
use crate::files::stamp::{self, FileStamp};
use crate::in_force::InForce;
use crate::tls::certificate::{Certificate, Pair};
use crate::tls::certificates::{Certificates, Set};
use crate::tls::facts::Facts;
use crate::tls::terms;

/// Time between two looks at the files.
const LOOK: Duration = Duration::from_millis(500);

/// Time after which files that were refused are tried again: the time of a certificate may have begun.
const RETRY: Duration = Duration::from_secs(5);

/// Time before the end of a certificate from which on the server warns of it.
const WARN_BEFORE: Duration = Duration::from_secs(21 * 24 * 3600);

/// Time between two warnings.
const WARN_AGAIN: Duration = Duration::from_secs(24 * 3600);

/// TLS of the server.
pub struct Tls {
    provider: Arc<CryptoProvider>,
    certificates: Arc<Certificates>,
    terms: InForce<ServerConfig>,
    /// What the certificates were read from. Locked while they are replaced.
    source: Mutex<Source>,
    events: Arc<Events>,
}

struct Source {
    flags: TlsFlags,
    /// Stamps of the files before they were last read.
    seen: Vec<Option<FileStamp>>,
    /// Why the files as they are now are refused, and when they were tried.
    refused: Option<(String, Instant)>,
}

/// Certificates and terms that were read and not published yet.
pub struct Ready {
    tls: Arc<Tls>,
    flags: TlsFlags,
    seen: Vec<Option<FileStamp>>,
    set: Set,
    terms: Option<ServerConfig>,
}

impl Ready {
    /// Publishes what is ready for new connections.
    pub fn publish(self) {
        let tls = Arc::clone(&self.tls);
        tls.replace(&mut tls.source(), self);
        tls.warn();
    }
}

/// Checks that the files can be used that the flags name.
///
/// # Errors
///
/// One line: which file cannot be used, what was found, and what was expected.
pub fn check(flags: &TlsFlags) -> anyhow::Result<()> {
    let provider = terms::provider();
    let certificates = Arc::new(Certificates(InForce::new(read(flags, &provider)?)));
    terms::new(flags, &provider, &certificates).map(drop)
}

/// Certificate as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Shown {
    /// File of the chain.
    pub file: PathBuf,
    /// What the certificate says.
    #[serde(flatten)]
    pub facts: Facts,
}

/// Certificates of the server as the API shows them.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct AllShown {
    /// Certificates in the order of the flags; the first is for clients that ask for no name, or
    /// for one that none has.
    pub certificates: Vec<Shown>,
    /// Why the files as they are now are refused; absent if they are those in force.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub refused: Option<String>,
}

impl Tls {
    /// Reads the certificates that the flags name. [`None`] if they name none.
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
        let set = read(flags, &provider)?;
        let certificates = Arc::new(Certificates(InForce::new(set)));
        let terms = InForce::new(terms::new(flags, &provider, &certificates)?);
        let source = Mutex::new(Source { flags: flags.clone(), seen, refused: None });
        let tls = Tls { provider, certificates, terms, source, events: Arc::clone(events) };
        tls.warn();
        Ok(Some(tls))
    }

    /// Returns the terms for a new connection.
    pub fn terms(&self) -> Arc<ServerConfig> {
        self.terms.get()
    }

    /// Returns what the API shows of the certificates.
    pub fn shown(&self) -> AllShown {
        let set = self.certificates.0.get();
        let shown = |one: &Certificate| Shown { file: one.pair.cert.clone(), facts: one.facts.clone() };
        AllShown {
            certificates: set.all.iter().map(shown).collect(),
            refused: self.source().refused.as_ref().map(|(cause, _)| cause.clone()),
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
        let set = read(flags, &self.provider)?;
        let (now, old) = (SystemTime::now(), self.certificates.0.get());
        // A certificate that serves already goes on, even if it has expired.
        let is_new = |one: &&Certificate| old.all.iter().all(|old| old.facts.sha256 != one.facts.sha256);
        for one in set.all.iter().filter(is_new) {
            one.facts.check(now).with_context(|| one.pair.context())?;
        }
        let before = self.source().flags.clone();
        // Who may come has changed, or may have: then no ticket counts that was given out before.
        let has_terms = before.terms() != flags.terms() || flags.tls_client_ca.is_some();
        let terms = has_terms.then(|| terms::new(flags, &self.provider, &self.certificates)).transpose()?;
        Ok(Ready { tls: Arc::clone(self), flags: flags.clone(), seen, set, terms })
    }

    fn replace(&self, source: &mut Source, Ready { flags, seen, set, terms, .. }: Ready) {
        self.tell(&self.certificates.0.get(), &set);
        self.certificates.0.set(set);
        if let Some(terms) = terms {
            self.terms.set(terms);
        }
        *source = Source { flags, seen, refused: None };
    }

    /// Tells which certificates serve that did not before, and which names have none any more.
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

    /// Warns of certificates that expire soon, and of private keys that are open to all.
    fn warn(&self) {
        let set = self.certificates.0.get();
        let now = SystemTime::now();
        for one in &set.all {
            one.pair.doubt().iter().for_each(|doubt| warn!("{doubt}"));
            let (file, not_after) = (one.pair.cert.display(), &one.facts.not_after);
            match one.facts.not_after().duration_since(now) {
                Err(_) => warn!(%file, not_after, "the certificate has expired (--tls-cert)"),
                Ok(left) if left < WARN_BEFORE => {
                    let days = left.as_secs() / (24 * 3600);
                    warn!(%file, not_after, days, "the certificate expires soon (--tls-cert)");
                }
                Ok(_) => {}
            }
        }
    }

    /// Starts to look at the files, and to publish what is new in them.
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

    /// Reads the files if they have changed, and two looks have found the same: then no write is in
    /// progress.
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
                let cause = format!("{cause:#}");
                if source.refused.as_ref().is_none_or(|(before, _)| *before != cause) {
                    warn!(cause, "a certificate is not replaced: the one before it goes on");
                    self.events.tell(&Event::certificate_refused(&cause));
                }
                source.seen.clone_from(last);
                source.refused = Some((cause, Instant::now()));
            }
        }
    }

    fn source(&self) -> MutexGuard<'_, Source> {
        self.source.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Prepares what a reload of the configuration changes.
///
/// # Errors
///
/// As [`Tls::prepare`], and when TLS is to be turned on or off.
pub async fn prepare(tls: Option<Arc<Tls>>, flags: &TlsFlags) -> Result<Option<Ready>, String> {
    if tls.is_some() != flags.is_on() {
        return Err("TLS is turned on and off by a restart only (--tls-cert)".into());
    }
    let (Some(tls), flags) = (tls, flags.clone()) else { return Ok(None) };
    // On a thread for blocking work, as the configuration is read.
    let prepared = tokio::task::spawn_blocking(move || tls.prepare(&flags)).await;
    let prepared = prepared.map_err(|failed| format!("the server panicked: {failed}"))?;
    prepared.map(Some).map_err(|error| format!("{error:#}"))
}

/// Reads the certificates that the flags name.
///
/// # Errors
///
/// One line: which file cannot be used, what was found, and what was expected.
fn read(flags: &TlsFlags, provider: &CryptoProvider) -> anyhow::Result<Set> {
    let all: Vec<_> = pairs(flags).map(|pair| pair.read(provider)).collect::<Result<_, _>>()?;
    if all.is_empty() {
        bail!("there is no certificate; expected --tls-cert FILE");
    }
    Ok(Set::new(all))
}

fn pairs(flags: &TlsFlags) -> impl Iterator<Item = Pair> {
    flags.tls_cert.iter().zip(&flags.tls_key).map(|(cert, key)| Pair { cert: cert.clone(), key: key.clone() })
}

/// Returns the stamps of all files that the flags name.
fn stamps(flags: &TlsFlags) -> Vec<Option<FileStamp>> {
    let all = flags.tls_cert.iter().chain(&flags.tls_key).chain(&flags.tls_client_ca);
    all.map(|path| stamp::look(path)).collect()
}
