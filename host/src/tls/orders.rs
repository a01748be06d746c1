//! State of the ACME orders for certificates, for the API, the metrics and the next attempt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use crate::clock;
use crate::config::acme::Domain;

/// ACME orders for certificates: the state for each domain, and the counts of the results.
#[derive(Default)]
pub struct Orders {
    domains: Mutex<BTreeMap<Domain, Order>>,
    got: AtomicU64,
    failed: AtomicU64,
    /// Notified when the file of a certificate in use is damaged or gone.
    pub lost: Notify,
}

/// State of the orders for one domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Time of the next attempt to get a certificate for the domain.
    pub next: SystemTime,
    /// Number of attempts that have failed since the last success.
    pub failures: u32,
    /// Step and cause of the last failure.
    pub cause: Option<String>,
}

/// State of the orders for one domain, as the API shows it.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ShownOrder {
    /// Domain that the certificate is for.
    pub domain: String,
    /// Time of the next attempt to get a certificate for the domain, in RFC 3339.
    pub next: String,
    /// Number of attempts that have failed since the last success.
    pub failures: u32,
    /// Step and cause of the last failure; absent if the last attempt has not failed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub cause: Option<String>,
}

impl Orders {
    /// Counts an order that has obtained a certificate.
    pub fn got(&self) {
        self.got.fetch_add(1, Relaxed);
    }

    /// Counts an order that has failed.
    pub fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    /// Records the state of the orders for a domain.
    pub fn set(&self, domain: &Domain, order: Order) {
        self.lock().insert(domain.clone(), order);
    }

    /// Records that the first order for a domain begins. Does nothing if the domain already has a
    /// state.
    pub fn begin(&self, domain: &Domain) {
        let begun = || Order { next: SystemTime::now(), failures: 0, cause: None };
        self.lock().entry(domain.clone()).or_insert_with(begun);
    }

    /// Removes the state of all domains except `domains`.
    pub fn keep(&self, domains: &[Domain]) {
        self.lock().retain(|domain, _| domains.contains(domain));
    }

    /// Returns the numbers of orders by result: `got` or `failed`.
    pub fn counts(&self) -> [(&'static str, u64); 2] {
        [("got", self.got.load(Relaxed)), ("failed", self.failed.load(Relaxed))]
    }

    /// Returns each domain with the time of its next attempt.
    pub fn next(&self) -> Vec<(String, SystemTime)> {
        self.lock().iter().map(|(domain, order)| (domain.to_string(), order.next)).collect()
    }

    /// Returns the orders as the API shows them.
    pub fn shown(&self) -> Vec<ShownOrder> {
        let shown = |(domain, order): (&Domain, &Order)| ShownOrder {
            domain: domain.to_string(),
            next: clock::seconds(order.next).to_string(),
            failures: order.failures,
            cause: order.cause.clone(),
        };
        self.lock().iter().map(shown).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Domain, Order>> {
        self.domains.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
