//! One attempt to get a certificate for a domain. Tries the challenge types in turn, until one of
//! them proves to the authority that this server controls the domain.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use anyhow::Context;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::acme::client::Client;
use crate::acme::failure::{Failure, Step, Way};
use crate::acme::kept::Kept;
use crate::acme::order::Ordering;
use crate::acme::plan::LOOKS_MAX;
use crate::acme::{roots, schedule};
use crate::config::acme::{AcmeFlags, Domain};
use crate::tls::certificate::Certificate;
use crate::tls::keeper::Tls;

/// Maximum duration of one attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);

/// One attempt to get a certificate for a domain.
pub(super) struct Attempt<'a> {
    pub(super) domain: &'a Domain,
    pub(super) flags: &'a AcmeFlags,
    pub(super) tls: &'a Arc<Tls>,
}

impl Attempt<'_> {
    /// Gets a certificate, saves it in the folder of ACME, and publishes it. Returns the time at
    /// which to renew the certificate.
    pub(super) async fn run(&self, kept: &mut Kept, ways: &[Way]) -> Result<SystemTime, Failure> {
        match timeout(ATTEMPT_TIMEOUT, self.try_ways(kept, ways)).await {
            Ok(text) => self.take(kept, &text?),
            Err(_) => Err(Step::Order.failed(format!("it took longer than {ATTEMPT_TIMEOUT:?}"))),
        }
    }

    /// Tries the challenge types in turn, first the one that succeeded last. Returns the private
    /// key and the certificate chain in PEM. Saves the plans before each order, so that the order
    /// counts even if the process ends during it.
    async fn try_ways(&self, kept: &mut Kept, ways: &[Way]) -> Result<String, Failure> {
        let Attempt { domain, flags, .. } = *self;
        let config = roots::config(flags.acme_ca.as_deref(), self.tls.provider());
        let config = config.map_err(|error| Step::Account.failed(format!("{error:#}")))?;
        let client = Client::new(config);
        let (challenges, provider) = (&self.tls.challenges, self.tls.provider());
        let (mut ways, last) = (ways.to_vec(), kept.plans.of(domain).way);
        ways.sort_by_key(|way| last != Some(*way));
        let mut first: Option<Failure> = None;
        for way in ways {
            if !kept.plans.of(domain).look(Instant::now()) {
                info!(%domain, %way, "not tried now: the authority has looked {LOOKS_MAX} times in vain within an hour");
                break;
            }
            kept.save().map_err(|error| Step::Folder.failed(format!("{error:#}")))?;
            info!(%domain, %way, directory = flags.acme_directory, "ordering a certificate by ACME");
            let store = &kept.store;
            let ordering = Ordering { domain, flags, store, client: &client, challenges, provider };
            let mut got = ordering.certificate(way).await;
            if got.as_ref().is_err_and(|failure| failure.is_account_unknown) {
                store.forget_account();
                got = ordering.certificate(way).await;
            }
            let plan = kept.plans.of(domain);
            let failure = match got {
                Ok(text) => {
                    plan.way = Some(way);
                    return Ok(text);
                }
                Err(failure) => Failure { come_back: client.come_back(), ..failure },
            };
            let has_looked = matches!(failure.step, Step::Challenge(_));
            if !has_looked {
                plan.did_not_look();
            }
            let is_over = !has_looked || failure.come_back.is_some();
            info!(%domain, step = %failure.step, cause = failure.cause, "the order by ACME has failed");
            let failure = match first.take() {
                Some(before) => before.and(failure),
                None => failure,
            };
            if is_over {
                return Err(failure);
            }
            first = Some(failure);
        }
        Err(first
            .unwrap_or_else(|| Step::Order.failed("there is no way to prove that the domain leads here")))
    }

    /// Checks a certificate, saves it in the folder of ACME, and publishes it. `text` is its
    /// private key and chain in PEM. Returns the time at which to renew the certificate.
    fn take(&self, Kept { store, .. }: &Kept, text: &str) -> Result<SystemTime, Failure> {
        let domain = self.domain;
        let wrong = |error: anyhow::Error| Step::Certificate.failed(format!("{error:#}"));
        let got = Certificate::of_domain(domain, text.as_bytes(), &store.file(domain), self.tls.provider());
        let got = got.context("the certificate cannot be used").map_err(wrong)?;
        let (now, begin) = (SystemTime::now(), got.facts.not_before());
        if begin > now {
            // To order again would bring the same.
            warn!(%domain, not_before = %got.facts.not_before, "the clock is behind that of the authority");
        }
        got.facts.check(now.max(begin)).context("the certificate cannot be used").map_err(wrong)?;
        let next = schedule::renewal(&got.facts);
        store.save(domain, text.as_bytes()).map_err(|error| Step::Folder.failed(format!("{error:#}")))?;
        self.tls.publish(got);
        Ok(next)
    }
}
