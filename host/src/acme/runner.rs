//! Orders the certificates that are missing or due for renewal, one after another, on a separate
//! thread, so that the server does not wait for them.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::acme::attempt::Attempt;
use crate::acme::failure::{Failure, Way};
use crate::acme::kept::{Kept, NotOpened, opened};
use crate::acme::restore::restore;
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

/// Maximum time between two checks of which certificates are due. The checks are frequent because
/// somebody may set the clock of the machine.
const LOOK: Duration = Duration::from_secs(30);

/// Pause between two attempts to open and lock the folder of ACME.
const LOCK_AGAIN: Duration = Duration::from_secs(1);

/// Minimum time between two checks of which certificates are due, and pause after a panic.
const REST: Duration = Duration::from_secs(1);

/// Gets certificates by ACME and renews them, on a thread of its own.
pub struct Acme {
    tls: Arc<Tls>,
    events: Arc<Events>,
    flags: InForce<AcmeFlags>,
    /// Notified when the flags change.
    changed: Notify,
    running: Mutex<Running>,
}

#[derive(Default)]
struct Running {
    ways: Vec<Way>,
    task: Option<AbortHandle>,
}

impl Acme {
    /// Creates the object without its thread, which [`Acme::start`] starts.
    ///
    /// # Errors
    ///
    /// When [`store::check`] fails.
    pub fn new(flags: AcmeFlags, tls: Arc<Tls>, events: Arc<Events>) -> anyhow::Result<Acme> {
        store::check(&flags, tls.provider())?;
        let (changed, running) = (Notify::new(), Mutex::default());
        Ok(Acme { tls, events, flags: InForce::new(flags), changed, running })
    }

    /// Starts to order certificates. Uses TLS-ALPN-01 challenges if a listener speaks TLS, and
    /// HTTP-01 challenges if a listener does not. If both are possible, tries TLS-ALPN-01 first.
    pub fn start(self: &Arc<Self>, listeners: &[Listener]) {
        let has = |is_tls: bool| listeners.iter().any(|listener| listener.is_tls() == is_tls);
        self.running().ways =
            has(true).then_some(Way::Tls).into_iter().chain(has(false).then_some(Way::Http)).collect();
        self.go_on();
    }

    /// Replaces the flags. Failed orders are tried again.
    pub(super) fn apply(self: &Arc<Self>, flags: AcmeFlags) {
        self.flags.set(flags);
        self.go_on();
        self.changed.notify_one();
    }

    /// Stops ordering certificates, because the process ends or because a new process now orders
    /// them.
    pub fn stop(&self) {
        let mut running = self.running();
        running.ways.clear();
        running.task.take().iter().for_each(AbortHandle::abort);
    }

    /// Starts the thread, unless it runs already, or there is no domain or no usable challenge
    /// type.
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

    /// Orders certificates until the task is aborted. Continues after a panic, whose cause the
    /// panic hook has logged.
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
        let (mut kept, mut said) = (None, String::new());
        loop {
            let flags = self.flags.get();
            self.tls.orders.keep(&flags.acme);
            let opened = if flags.is_on() { opened(&mut kept, &flags).map(Some) } else { Ok(None) };
            let rest = match opened {
                Ok(None) => LOOK,
                Ok(Some(kept)) => {
                    said.clear();
                    kept.plans.keep(&flags.acme, Instant::now());
                    self.order_due(&flags, kept, &ways).await
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
                () = self.tls.orders.lost.notified() => {}
                () = self.changed.notified() => kept.iter_mut().for_each(|kept| kept.plans.try_again()),
            }
        }
    }

    /// Orders all certificates that are due. Returns how long to wait before the next check.
    async fn order_due(&self, flags: &Arc<AcmeFlags>, kept: &mut Kept, ways: &[Way]) -> Duration {
        let mut rest = LOOK;
        for domain in kept.plans.in_turn(&flags.acme) {
            // A reload takes effect between two orders.
            if !Arc::ptr_eq(flags, &self.flags.get()) {
                return Duration::ZERO;
            }
            restore(domain, &self.tls, &kept.store);
            if self.left(domain, kept).is_zero() {
                self.tls.orders.begin(domain);
                self.order(domain, kept, flags, ways).await;
            } else if !self.due(domain, &kept.store).is_zero() {
                kept.plans.of(domain).forget_failures();
            }
            let left = self.left(domain, kept);
            let plan = kept.plans.of(domain);
            let (failures, cause) = (plan.failures, plan.cause.clone());
            self.tls.orders.set(domain, Order { next: SystemTime::now() + left, failures, cause });
            rest = rest.min(left);
        }
        rest.max(REST)
    }

    /// Returns the time until the next order for a domain.
    fn left(&self, domain: &Domain, kept: &Kept) -> Duration {
        kept.plans.left(domain, self.due(domain, &kept.store), Instant::now())
    }

    /// Returns the time until the certificate of a domain is to be renewed; zero if it has none.
    fn due(&self, domain: &Domain, store: &Store) -> Duration {
        match self.tls.of_domain(domain) {
            // One of another directory is replaced at once.
            Some(one) if one.pair.cert == store.file(domain) => {
                schedule::renewal(&one.facts).duration_since(SystemTime::now()).unwrap_or_default()
            }
            _ => Duration::ZERO,
        }
    }

    /// Orders a certificate for a domain, publishes it, and plans the next order.
    async fn order(&self, domain: &Domain, kept: &mut Kept, flags: &AcmeFlags, ways: &[Way]) {
        let random = seed::draw().map_or(0, |seed| seed.first().copied().unwrap_or_default());
        kept.plans.of(domain).begin(Instant::now(), random);
        match (Attempt { domain, flags, tls: &self.tls }).run(kept, ways).await {
            Ok(next) => {
                kept.plans.of(domain).succeed(Instant::now(), next <= SystemTime::now());
                kept.plans.is_taken();
                self.tls.orders.got();
            }
            Err(failure) => {
                kept.plans.of(domain).fail(Instant::now(), random, &failure);
                self.failed(domain, kept, &failure);
            }
        }
        if let Err(error) = kept.save() {
            warn!("a restart may order too early: {error:#}");
        }
    }

    /// Reports a failed order: logs a warning, counts the failure, and publishes an event.
    fn failed(&self, domain: &Domain, kept: &mut Kept, failure: &Failure) {
        if kept.plans.hold(domain, failure) {
            warn!(
                "no certificate is ordered by ACME for any domain until the authority wants to be asked again"
            );
        }
        let next = SystemTime::now() + kept.plans.left(domain, Duration::ZERO, Instant::now());
        let shown = clock::seconds(next).to_string();
        let Failure { step, cause, .. } = failure;
        let (step, failures, hint) = (step.to_string(), kept.plans.of(domain).failures, step.hint());
        let goes_on = match self.tls.of_domain(domain) {
            Some(_) => "the one before it goes on",
            None => "the domain has none yet",
        };
        warn!(%domain, step, cause, failures, next = shown, "no certificate was got by ACME, {goes_on}; {hint}");
        self.tls.orders.failed();
        self.events.tell(&Event::certificate_failed(domain.as_str(), &step, cause, &shown));
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
