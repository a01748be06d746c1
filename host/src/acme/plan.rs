//! What the server remembers about each domain between two orders: how often orders have failed,
//! when the next one may begin, and how often the authority has validated the domain without
//! success. It is saved in the folder of ACME, so that a server that restarts repeatedly does not
//! send too many requests.

use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant, SystemTime};

use serde::{Deserialize, Serialize};

use crate::acme::failure::{ComeBack, Failure, Step, Way};
use crate::acme::schedule;
use crate::config::acme::Domain;

/// Maximum number of unsuccessful validations of a domain by the authority within about an hour.
/// After 5 within an hour, Let's Encrypt refuses the domain for a while.
pub const LOOKS_MAX: usize = 5;

/// Time for which a validation counts towards [`LOOKS_MAX`]: an hour, plus the maximum duration of
/// an attempt, at whose end the authority may still validate the domain.
const LOOKS_SPAN: Duration = Duration::from_secs(65 * 60);

/// Maximum wait until the next order, except for the time until a renewal.
pub const WAIT_MAX: Duration = Duration::from_secs(36 * 3600);

/// What the server remembers about one domain between two orders.
#[derive(Default)]
pub(super) struct Plan {
    /// Number of orders that have failed since the last success. Includes an order in progress,
    /// because the process may end before the order does.
    pub(super) failures: u32,
    /// Step and cause of the last failure.
    pub(super) cause: Option<String>,
    /// Challenge type that succeeded last.
    pub(super) way: Option<Way>,
    /// Time before which no order may begin; set after a failure, and after a success whose
    /// certificate is already due for renewal.
    wait: Option<Instant>,
    /// Time until which the authority has asked to wait with orders for this domain.
    come_back: Option<Instant>,
    /// Times at which the authority was asked to validate the domain since the last success, the
    /// oldest first; at most [`LOOKS_MAX`].
    looks: Vec<Instant>,
    /// Time at which the last order began; [`None`] if none has begun since the process started.
    tried: Option<Instant>,
}

/// What the server remembers about all domains, and about the authority.
#[derive(Default)]
pub(super) struct Plans {
    domains: HashMap<Domain, Plan>,
    /// Time until which the authority has asked to wait with orders for any domain.
    held: Option<Instant>,
    /// Domain of the latest order that the authority answered with a request to wait; [`None`] if
    /// it has accepted an order since.
    limited: Option<Domain>,
}

/// Content of the file with the plans. `at` is the only absolute time, because the clock may be wrong
/// when the file is written. The other times are seconds before or after `at`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Saved {
    /// Time at which the file was written, since 1970.
    at: u64,
    held: u64,
    domains: BTreeMap<String, SavedPlan>,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct SavedPlan {
    failures: u32,
    cause: Option<String>,
    way: Option<Way>,
    wait: u64,
    come_back: u64,
    /// Times of the validations by the authority, in seconds before `at`.
    looks: Vec<u64>,
}

impl Plan {
    /// Records that an order begins. Counts the order as failed until its result is known.
    pub(super) fn begin(&mut self, now: Instant, random: u8) {
        self.tried = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.fail(now, random, &Step::Order.failed("the server has ended before it"));
    }

    /// Records why the order in progress has failed, and when the next one may begin.
    pub(super) fn fail(&mut self, now: Instant, random: u8, failure: &Failure) {
        self.cause = Some(format!("{}: {}", failure.step, failure.cause));
        self.wait = Some(now + schedule::after(self.failures, random));
        self.come_back = failure.come_back.map(|come_back| come_back.at);
    }

    /// Records a success. `is_due` tells whether the new certificate already needs to be renewed,
    /// which happens only if a clock is wrong. In that case, the next order waits for [`WAIT_MAX`],
    /// because authorities limit how many certificates they issue for a name.
    pub(super) fn succeed(&mut self, now: Instant, is_due: bool) {
        let wait = is_due.then(|| now + WAIT_MAX);
        *self = Plan { way: self.way, tried: self.tried, wait, ..Plan::default() };
    }

    /// Records that the authority is about to validate the domain. Returns false, and records
    /// nothing, if [`LOOKS_MAX`] does not allow it yet.
    pub(super) fn look(&mut self, now: Instant) -> bool {
        if !self.until_look(now).is_zero() {
            return false;
        }
        self.looks.drain(..(self.looks.len() + 1).saturating_sub(LOOKS_MAX));
        self.looks.push(now);
        true
    }

    /// Removes the validation that the last [`Plan::look`] recorded, because the authority did not
    /// get to validate the domain.
    pub(super) fn did_not_look(&mut self) {
        self.looks.pop();
    }

    /// Resets the failures of a domain whose certificate does not need to be renewed yet.
    pub(super) fn forget_failures(&mut self) {
        (self.failures, self.cause) = (0, None);
    }

    /// Returns how long the next validation must wait because of [`LOOKS_MAX`].
    fn until_look(&self, now: Instant) -> Duration {
        let first = self.looks.len().checked_sub(LOOKS_MAX).and_then(|first| self.looks.get(first));
        until(first.map(|first| *first + LOOKS_SPAN), now)
    }

    fn left(&self, now: Instant) -> Duration {
        until(self.wait, now).max(until(self.come_back, now)).max(self.until_look(now))
    }
}

impl Plans {
    /// Returns the plan of a domain. Creates it if there is none.
    pub(super) fn of(&mut self, domain: &Domain) -> &mut Plan {
        self.domains.entry(domain.clone()).or_default()
    }

    /// Returns the time until the next order for a domain. `due` is the time until the renewal of
    /// its certificate.
    pub(super) fn left(&self, domain: &Domain, due: Duration, now: Instant) -> Duration {
        let of_plan = self.domains.get(domain).map(|plan| plan.left(now)).unwrap_or_default();
        due.max(of_plan).max(until(self.held, now))
    }

    /// Returns the domains sorted by the time of their last order, the oldest first, so that a
    /// domain that fails repeatedly does not delay the others.
    pub(super) fn in_turn<'a>(&self, domains: &'a [Domain]) -> Vec<&'a Domain> {
        let mut all: Vec<_> = domains.iter().collect();
        all.sort_by_key(|domain| self.domains.get(domain).and_then(|plan| plan.tried));
        all
    }

    /// Removes the plans of all domains except these. Keeps plans with recent validations, because
    /// they still count towards [`LOOKS_MAX`].
    pub(super) fn keep(&mut self, domains: &[Domain], now: Instant) {
        let is_recent = |plan: &Plan| plan.looks.last().is_some_and(|last| now < *last + LOOKS_SPAN);
        self.domains.retain(|domain, plan| domains.contains(domain) || is_recent(plan));
    }

    /// Removes the waits after failures. The waits that the authority has requested, and
    /// [`LOOKS_MAX`], still apply.
    pub(super) fn try_again(&mut self) {
        self.domains.values_mut().for_each(|plan| plan.wait = None);
    }

    /// Records that the authority has accepted an order.
    pub(super) fn is_taken(&mut self) {
        self.limited = None;
    }

    /// Records the wait that the authority requested in a failure, if the wait applies to all
    /// domains. Returns whether it does.
    pub(super) fn hold(&mut self, domain: &Domain, failure: &Failure) -> bool {
        let Some(ComeBack { at, is_of_server }) = failure.come_back else {
            if !matches!(failure.step, Step::Folder | Step::Account | Step::Order) {
                self.is_taken();
            }
            return false;
        };
        // What is refused for the sake of a domain looks like what is refused for that of the account,
        // so a second domain is asked for.
        let before = self.limited.replace(domain.clone());
        let counts_for_all =
            is_of_server || failure.step == Step::Account || before.is_some_and(|before| before != *domain);
        if counts_for_all {
            self.held = self.held.max(Some(at));
        }
        counts_for_all
    }

    /// Restores plans from a file. `now` and `time` are the current time, by the monotonic clock
    /// and by the system clock.
    pub(super) fn of_saved(saved: Saved, (now, time): (Instant, SystemTime)) -> Plans {
        let since = Duration::from_secs(seconds(time).saturating_sub(saved.at));
        let later = |wait: u64| {
            let left = Duration::from_secs(wait).min(WAIT_MAX).saturating_sub(since);
            (!left.is_zero()).then(|| now + left)
        };
        let earlier = |age: u64| now.checked_sub(Duration::from_secs(age).saturating_add(since));
        let plan = |(domain, saved): (String, SavedPlan)| {
            let SavedPlan { failures, cause, way, wait, come_back, looks } = saved;
            let (wait, come_back) = (later(wait), later(come_back));
            let mut looks: Vec<_> = looks.into_iter().filter_map(earlier).collect();
            looks.sort();
            looks.drain(..looks.len().saturating_sub(LOOKS_MAX));
            Some((domain.parse().ok()?, Plan { failures, cause, way, wait, come_back, looks, tried: None }))
        };
        let domains = saved.domains.into_iter().filter_map(plan).collect();
        Plans { domains, held: later(saved.held), limited: None }
    }

    /// Returns the plans in the form for a file. `now` and `time` are the current time, by the
    /// monotonic clock and by the system clock.
    pub(super) fn saved(&self, (now, time): (Instant, SystemTime)) -> Saved {
        // Rounded up, so that nothing comes too early.
        let later = |time| until(time, now).as_millis().div_ceil(1000) as u64;
        let plan = |(domain, plan): (&Domain, &Plan)| {
            let looks =
                plan.looks.iter().map(|look| now.saturating_duration_since(*look).as_secs()).collect();
            let (wait, come_back) = (later(plan.wait), later(plan.come_back));
            let Plan { failures, cause, way, .. } = plan;
            let (failures, cause, way) = (*failures, cause.clone(), *way);
            (domain.to_string(), SavedPlan { failures, cause, way, wait, come_back, looks })
        };
        let domains = self.domains.iter().map(plan).collect();
        Saved { at: seconds(time), held: later(self.held), domains }
    }

    /// Returns the domains whose last order has failed, each with the number of failures and the cause.
    pub(super) fn failed(&self) -> impl Iterator<Item = (&Domain, u32, &str)> {
        self.domains
            .iter()
            .filter(|(_, plan)| plan.failures > 0)
            .map(|(domain, plan)| (domain, plan.failures, plan.cause.as_deref().unwrap_or_default()))
    }
}

fn until(time: Option<Instant>, now: Instant) -> Duration {
    time.map(|time| time.saturating_duration_since(now)).unwrap_or_default()
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant, SystemTime};

    use super::{LOOKS_MAX, Plans, Saved, WAIT_MAX};
    use crate::acme::failure::{ComeBack, Failure, Step, Way};
    use crate::config::acme::Domain;

    const HOUR: Duration = Duration::from_secs(3600);

    fn domain(name: &str) -> Domain {
        name.parse().unwrap()
    }

    fn failure(step: Step, come_back: Option<ComeBack>) -> Failure {
        Failure { come_back, ..step.failed("cause") }
    }

    fn at(at: Instant, is_of_server: bool) -> Option<ComeBack> {
        Some(ComeBack { at, is_of_server })
    }

    #[test]
    fn no_hour_has_more_looks_in_vain_than_the_authority_allows() {
        // Attempts as fast as they may come, in both ways each, as after reload upon reload.
        let (begin, domain, mut plans) = (Instant::now(), domain("a.test"), Plans::default());
        let (mut now, mut looks) = (begin, Vec::new());
        while now < begin + 12 * HOUR {
            plans.try_again();
            let left = plans.left(&domain, Duration::ZERO, now);
            now += left;
            let plan = plans.of(&domain);
            plan.begin(now, 0);
            for _ in [Way::Tls, Way::Http] {
                if plan.look(now) {
                    looks.push(now);
                }
                now += Duration::from_secs(2);
            }
            plan.fail(now, 0, &failure(Step::Challenge(Way::Http), None));
        }
        assert!(looks.len() > 50, "{}", looks.len());
        assert!(looks.windows(LOOKS_MAX + 1).all(|some| some[LOOKS_MAX] - some[0] > HOUR));
        // Nor has one of orders at their own pace, or of a server that is started again and again.
        let plan = plans.of(&domain);
        plan.succeed(now, false);
        assert!((0..LOOKS_MAX).all(|_| plan.look(now)) && !plan.look(now + HOUR));
        plan.did_not_look();
        assert!(plan.look(now) && !plan.look(now));
        let saved = plans.saved((now, SystemTime::UNIX_EPOCH + 50 * HOUR));
        let mut plans = Plans::of_saved(saved, (now, SystemTime::UNIX_EPOCH + 50 * HOUR + HOUR / 2));
        assert!(!plans.of(&domain).look(now + HOUR / 2 - Duration::from_secs(1)));
        plans.keep(&[], now);
        assert!(!plans.of(&domain).look(now), "a domain that is taken out and comes back");
        assert!(plans.of(&domain).look(now + HOUR));
    }

    #[test]
    fn what_is_saved_is_read_again_and_a_wrong_clock_puts_nothing_off_for_ever() {
        let (now, domain, mut plans) = (Instant::now(), domain("a.test"), Plans::default());
        plans.of(&domain).begin(now, 128);
        plans.of(&domain).begin(now, 128);
        plans.of(&domain).way = Some(Way::Http);
        let left = plans.left(&domain, Duration::ZERO, now);
        assert!(left > Duration::from_secs(60));
        let time = SystemTime::UNIX_EPOCH + 500_000 * HOUR;
        let text = serde_json::to_string(&plans.saved((now, time))).unwrap();
        let read = |time| {
            let plans = Plans::of_saved(serde_json::from_str(&text).unwrap(), (now, time));
            (plans.left(&domain, Duration::ZERO, now), plans)
        };
        let second = Duration::from_secs(1);
        let (same, mut plans) = read(time);
        assert!(same >= left && same <= left + second, "{same:?}");
        assert!(read(time + Duration::from_secs(30)).0 <= left - Duration::from_secs(29));
        assert_eq!(read(time + 500_000 * HOUR).0, Duration::ZERO);
        // The clock was far ahead when it was written.
        assert!(read(SystemTime::UNIX_EPOCH).0 <= left + second);
        let (plan, expected) = (plans.of(&domain), "order: the server has ended before it");
        assert_eq!((plan.failures, plan.cause.as_deref(), plan.way), (2, Some(expected), Some(Way::Http)));
        // A damaged number.
        let most = format!(
            "{{\"at\":{0},\"held\":{0},\"domains\":{{\"-\":{{}},\"a.test\":{{\"wait\":{0},\"looks\":[{0},0]}}}}}}",
            u64::MAX
        );
        let plans = Plans::of_saved(serde_json::from_str(&most).unwrap(), (now, time));
        assert_eq!(plans.left(&domain, Duration::ZERO, now), WAIT_MAX);
        assert!(serde_json::from_str::<Saved>("{\"domains\":[]}").is_err());
    }

    #[test]
    fn a_limit_of_the_account_or_the_server_holds_all_domains_back_and_one_of_a_domain_no_other() {
        let (now, due) = (Instant::now(), Duration::ZERO);
        let (a, b, c) = (domain("a.test"), domain("b.test"), domain("c.test"));
        let fails = |plans: &mut Plans, domain: &Domain, step, come_back| {
            let failure = failure(step, come_back);
            plans.of(domain).begin(now, 0);
            plans.of(domain).fail(now, 0, &failure);
            plans.hold(domain, &failure)
        };
        for (step, is_of_server) in [(Step::Account, false), (Step::Account, true), (Step::Order, true)] {
            let mut plans = Plans::default();
            assert!(fails(&mut plans, &a, step, at(now + HOUR, is_of_server)));
            plans.try_again();
            assert_eq!(plans.left(&b, due, now), HOUR);
            let plans = Plans::of_saved(plans.saved((now, SystemTime::now())), (now, SystemTime::now()));
            assert!(plans.left(&c, due, now) > HOUR - Duration::from_secs(2), "after a restart");
        }
        let mut plans = Plans::default();
        assert!(!fails(&mut plans, &a, Step::Order, at(now + HOUR, false)));
        assert_eq!((plans.left(&a, due, now), plans.left(&b, due, now)), (HOUR, due));
        plans.is_taken();
        assert!(!fails(&mut plans, &b, Step::Order, at(now + HOUR, false)), "an order went well between");
        assert!(!fails(&mut plans, &c, Step::Challenge(Way::Tls), None));
        assert!(!fails(&mut plans, &a, Step::Order, at(now + HOUR, false)));
        assert!(fails(&mut plans, &b, Step::Order, at(now + 2 * HOUR, false)), "two in a row");
        assert_eq!(plans.left(&c, due, now), 2 * HOUR);
        // The next one is that which was tried least lately.
        let domains = [a.clone(), b.clone(), c.clone()];
        plans.of(&a).begin(now + HOUR, 0);
        plans.of(&b).begin(now + 2 * HOUR, 0);
        assert_eq!(plans.in_turn(&domains), [&c, &a, &b]);
        assert_eq!(Plans::default().in_turn(&domains), [&a, &b, &c]);
    }
}
