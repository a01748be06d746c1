//! Orders the certificates that are missing or due, one after the other, on a thread of its own. The
//! server does not wait for it.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::acme::attempt::Attempt;
use crate::acme::failure::{Failure, Way};
use crate::acme::plan::Plan;
use crate::acme::schedule;
use crate::acme::store::{self, Store};
use crate::background::Background;
use crate::clock;
use crate::config::acme::{AcmeFlags, Domain};
use crate::events::event::Event;
use crate::events::hub::Events;
use crate::in_force::InForce;
use crate::net::listener::Listener;
use crate::seed;
use crate::tls::keeper::Tls;
use crate::tls::orders::Order;

/// Time between two looks at what is due. The clock of the machine may be set.
const LOOK: Duration = Duration::from_secs(30);

/// Time between two attempts to take the lock of the folder.
const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// Shortest time between two looks, and between a panic and the next one.
const REST: Duration = Duration::from_secs(1);

/// Time to the next order if a new certificate is to be renewed at once. Authorities give few
/// certificates for the same names in a week.
const DUE_AT_ONCE: Duration = Duration::from_secs(36 * 3600);

/// Gets certificates by ACME.
pub struct Acme {
    tls: Arc<Tls>,
    events: Arc<Events>,
    flags: InForce<AcmeFlags>,
    /// Notified of new flags.
    changed: Notify,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    ways: Vec<Way>,
    task: Option<AbortHandle>,
}

/// Why the folder is not open.
struct NotOpened {
    cause: String,
    /// Whether another process may have its lock.
    is_locked: bool,
}

impl Acme {
    /// Creates what gets certificates. It does nothing before [`Acme::start`].
    ///
    /// # Errors
    ///
    /// As [`store::check`].
    pub fn new(flags: AcmeFlags, tls: Arc<Tls>, events: Arc<Events>) -> anyhow::Result<Acme> {
        store::check(&flags, tls.provider())?;
        let (changed, running) = (Notify::new(), Mutex::default());
        Ok(Acme { tls, events, flags: InForce::new(flags), changed, running })
    }

    /// Starts to order. At an address with TLS, an authority looks first, and then at one without.
    pub fn start(self: &Arc<Self>, listeners: &[Listener]) {
        let has = |is_tls: bool| listeners.iter().any(|listener| listener.is_tls() == is_tls);
        self.running().ways =
            has(true).then_some(Way::Tls).into_iter().chain(has(false).then_some(Way::Http)).collect();
        self.go_on();
    }

    /// Takes other flags. What has failed is tried again.
    pub(super) fn apply(self: &Arc<Self>, flags: AcmeFlags) {
        self.flags.set(flags);
        self.go_on();
        self.changed.notify_one();
    }

    /// Ends, because the process ends, or another one has taken its place, which orders then.
    pub fn stop(&self) {
        let mut running = self.running();
        running.ways.clear();
        running.task.take().iter().for_each(AbortHandle::abort);
    }

    /// Starts the thread, if there is a domain and it does not run.
    fn go_on(self: &Arc<Self>) {
        let mut running = self.running();
        if !self.flags.get().is_on() || running.ways.is_empty() || running.task.is_some() {
            return;
        }
        match Background::start("acme", 0) {
            Ok(thread) => {
                let task = thread.runtime().spawn(Arc::clone(self).run_always(running.ways.clone()));
                running.task = Some(task.abort_handle());
            }
            Err(error) => warn!(%error, "no certificate is got by ACME: there is no thread for it"),
        }
    }

    /// Orders, and goes on after a panic, whose cause the hook for panics has logged.
    async fn run_always(self: Arc<Self>, ways: Vec<Way>) {
        loop {
            // Ends with this task.
            let mut all = tokio::task::JoinSet::new();
            all.spawn(Arc::clone(&self).run(ways.clone()));
            all.join_next().await;
            sleep(REST).await;
        }
    }

    async fn run(self: Arc<Self>, ways: Vec<Way>) {
        let (mut plans, mut store, mut said) = (HashMap::new(), None, String::new());
        loop {
            let flags = self.flags.get();
            plans.retain(|domain, _| flags.acme.contains(domain));
            self.tls.orders.keep(&flags.acme);
            let opened = if flags.is_on() { opened(&mut store, &flags).map(Some) } else { Ok(None) };
            let rest = match opened {
                Ok(None) => LOOK,
                Ok(Some(store)) => {
                    said.clear();
                    self.order_due(&flags, store, &mut plans, &ways).await
                }
                Err(NotOpened { cause, is_locked }) => {
                    let what =
                        "no certificate is ordered by ACME for now: the folder is tried again each second";
                    match is_locked {
                        _ if said == cause => {}
                        true => info!(cause, "{what}"),
                        false => warn!(cause, "{what}"),
                    }
                    said = cause;
                    LOCK_AGAIN
                }
            };
            tokio::select! {
                () = sleep(rest) => {}
                () = self.changed.notified() => plans.values_mut().for_each(Plan::try_again),
            }
        }
    }

    /// Orders what is due. Returns how long to rest.
    async fn order_due(
        &self,
        flags: &Arc<AcmeFlags>,
        store: &Store,
        plans: &mut HashMap<Domain, Plan>,
        ways: &[Way],
    ) -> Duration {
        let mut rest = LOOK;
        for domain in &flags.acme {
            // A reload takes effect between two orders.
            if !Arc::ptr_eq(flags, &self.flags.get()) {
                return Duration::ZERO;
            }
            let plan = plans.entry(domain.clone()).or_default();
            if self.left(domain, plan, store).is_zero() {
                self.tls.orders.begin(domain);
                let next = self.order(domain, plan, (flags, store), ways).await;
                self.tls.orders.set(domain, next);
            } else if plan.wait.is_none() {
                plan.failures = 0;
                let next = SystemTime::now() + self.left(domain, plan, store);
                self.tls.orders.set(domain, Order { next, failures: 0, cause: None });
            }
            rest = rest.min(self.left(domain, plan, store));
        }
        rest.max(REST)
    }

    /// Returns the time to the next order for a domain.
    fn left(&self, domain: &Domain, plan: &Plan, store: &Store) -> Duration {
        if let Some(wait) = plan.wait {
            return wait.saturating_duration_since(Instant::now());
        }
        match self.tls.of_domain(domain) {
            // One of another directory is replaced at once.
            Some((facts, file)) if file == store.file(domain) => {
                schedule::renewal(&facts).duration_since(SystemTime::now()).unwrap_or_default()
            }
            _ => Duration::ZERO,
        }
    }

    /// Orders a certificate for a domain, and publishes it. Returns the state after that.
    async fn order(
        &self,
        domain: &Domain,
        plan: &mut Plan,
        (flags, store): (&AcmeFlags, &Store),
        ways: &[Way],
    ) -> Order {
        let attempt = Attempt { domain, flags, store, tls: &self.tls };
        match attempt.run(&mut plan.way, ways).await {
            Ok(next) => {
                // Only if the clock is wrong, or the authority is.
                let is_due = next <= SystemTime::now();
                let wait = is_due.then(|| Instant::now() + DUE_AT_ONCE);
                *plan = Plan { way: plan.way, wait, ..Plan::default() };
                self.tls.orders.got();
                Order { next, failures: 0, cause: None }
            }
            Err(failure) => self.failed(domain, plan, &failure),
        }
    }

    /// Plans the next attempt after a failure, and tells of it.
    fn failed(&self, domain: &Domain, plan: &mut Plan, failure: &Failure) -> Order {
        let Failure { step, cause, come_back, .. } = failure;
        let now = SystemTime::now();
        plan.failures = plan.failures.saturating_add(1);
        plan.come_back = *come_back;
        let random = seed::draw().map_or(0, |seed| seed.first().copied().unwrap_or_default());
        let left = plan.wanted_after(now).max(schedule::after(plan.failures, random));
        plan.wait = Some(Instant::now() + left);
        let next = now + left;
        let shown = clock::seconds(next).to_string();
        let (step, failures, hint) = (step.to_string(), plan.failures, step.hint());
        let goes_on = match self.tls.of_domain(domain) {
            Some(_) => "the one before it goes on",
            None => "the domain has none yet",
        };
        warn!(%domain, step, cause, failures, next = shown, "no certificate was got by ACME, {goes_on}; {hint}");
        self.tls.orders.failed();
        self.events.tell(&Event::certificate_failed(domain.as_str(), &step, cause, &shown));
        Order { next, failures, cause: Some(format!("{step}: {cause}")) }
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens the folder, unless it is open, and takes its lock.
fn opened<'a>(store: &'a mut Option<Store>, flags: &AcmeFlags) -> Result<&'a Store, NotOpened> {
    let failed =
        |is_locked: bool| move |error: anyhow::Error| NotOpened { cause: format!("{error:#}"), is_locked };
    let path = flags.folder();
    if store.as_ref().map(Store::path) != path.as_deref().map(Path::new) {
        *store = None;
    }
    match store {
        Some(open) => Ok(open),
        closed => {
            let mut open = Store::open(flags).map_err(failed(false))?;
            open.lock().map_err(failed(true))?;
            Ok(closed.insert(open))
        }
    }
}
