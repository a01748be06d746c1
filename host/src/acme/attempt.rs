//! One attempt to get a certificate for a domain: in the ways that there are, until the authority has
//! seen that the domain leads here.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context;
use tokio::time::timeout;
use tracing::{info, warn};

use crate::acme::client::Client;
use crate::acme::failure::{Failure, Step, Way};
use crate::acme::order::Ordering;
use crate::acme::store::Store;
use crate::acme::{roots, schedule};
use crate::config::acme::{AcmeFlags, Domain};
use crate::tls::certificate::Certificate;
use crate::tls::keeper::Tls;

/// Longest time of one attempt.
pub const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(300);

/// What an attempt needs.
pub(super) struct Attempt<'a> {
    pub(super) domain: &'a Domain,
    pub(super) flags: &'a AcmeFlags,
    pub(super) store: &'a Store,
    pub(super) tls: &'a Arc<Tls>,
}

impl Attempt<'_> {
    /// Gets a certificate, keeps it, and publishes it. Returns when it is to be renewed. `last` is the
    /// way that has worked last.
    pub(super) async fn run(&self, last: &mut Option<Way>, ways: &[Way]) -> Result<SystemTime, Failure> {
        match timeout(ATTEMPT_TIMEOUT, self.try_ways(last, ways)).await {
            Ok(text) => self.take(&text?),
            Err(_) => Err(Step::Order.failed(format!("it took longer than {ATTEMPT_TIMEOUT:?}"))),
        }
    }

    /// Tries the ways until the authority has seen that the domain leads here.
    async fn try_ways(&self, last: &mut Option<Way>, ways: &[Way]) -> Result<String, Failure> {
        let Attempt { domain, flags, store, .. } = *self;
        let config = roots::config(flags.acme_ca.as_deref(), self.tls.provider());
        let config = config.map_err(|error| Step::Account.failed(format!("{error:#}")))?;
        let client = Client::new(config);
        let (challenges, provider) = (&self.tls.challenges, self.tls.provider());
        let ordering = Ordering { domain, flags, store, client: &client, challenges, provider };
        let mut ways = ways.to_vec();
        ways.sort_by_key(|way| *last != Some(*way));
        let mut first: Option<Failure> = None;
        for way in ways {
            info!(%domain, %way, directory = flags.acme_directory, "ordering a certificate by ACME");
            let mut got = ordering.certificate(way).await;
            if got.as_ref().is_err_and(|failure| failure.is_account_unknown) {
                store.forget_account();
                got = ordering.certificate(way).await;
            }
            let failure = match got {
                Ok(text) => {
                    *last = Some(way);
                    return Ok(text);
                }
                Err(failure) => Failure { come_back: client.come_back(), ..failure },
            };
            let is_over = !matches!(failure.step, Step::Challenge(_)) || failure.come_back.is_some();
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

    /// Checks a certificate, keeps it, and publishes it. Returns when it is to be renewed.
    fn take(&self, text: &str) -> Result<SystemTime, Failure> {
        let Attempt { domain, store, .. } = *self;
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
