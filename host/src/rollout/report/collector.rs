//! Collects the verdicts on many requests in bounded memory.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use host_http::quote::quoted;

use crate::rollout::compare::verdict::{Outcome, Verdict};
use crate::rollout::report::accept::Accept;
use crate::rollout::report::cost::{Cost, Memory, Pairs};
use crate::rollout::report::outcomes::{Accepted, Class, Counts, Example, Group, Kind, Reason, Report};
use crate::telemetry::request_line;

/// Maximum number of examples in all groups together.
const EXAMPLES_MAX: usize = 500;

/// Maximum number of classes. Requests of further classes are counted as `other requests`.
const CLASSES_MAX: usize = 500;

/// Maximum number of pairs of times that are kept for all classes together. They take 1.6 MB.
const PAIRS_MAX: usize = 50_000;

/// Maximum number of reasons why requests were not compared. `other reasons` counts all further
/// ones.
const REASONS_MAX: usize = 20;

/// Maximum length of the name of a class, of a method, and of a request id in a report, in bytes.
const NAME_MAX: usize = 100;

/// Maximum length of a target, and of a reason, in a report, in bytes.
const TEXT_MAX: usize = 200;

/// Request that was compared.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// Class of the request, such as `GET /items/* 200`.
    pub class: &'a str,
    /// Method of the request.
    pub method: &'a str,
    /// Target of the request.
    pub target: &'a str,
    /// Id of the request.
    pub id: &'a str,
}

/// Collects the verdicts on many requests for a report.
#[derive(Clone, Debug)]
pub struct Collector {
    show: usize,
    accept: Accept,
    /// Number of differences that each pattern has accepted, in the order of the patterns.
    accepted: Vec<u64>,
    counts: Counts,
    requests: u64,
    /// Number of pairs of times that are kept, for all classes together.
    pairs: usize,
    examples: usize,
    first_fault: Option<String>,
    first_difference: Option<String>,
    groups: BTreeMap<(Kind, String), Found>,
    classes: BTreeMap<String, Costs>,
    reasons: BTreeMap<String, u64>,
}

#[derive(Clone, Debug, Default)]
struct Found {
    count: u64,
    examples: Vec<Example>,
}

#[derive(Clone, Debug, Default)]
struct Costs {
    requests: u64,
    pairs: Pairs,
    memory: Memory,
}

impl From<&Outcome> for Cost {
    fn from(outcome: &Outcome) -> Cost {
        Cost { took: outcome.took, memory: outcome.memory }
    }
}

impl Collector {
    /// Creates a collector that keeps at most `show` examples for each kind of difference in each
    /// class of requests.
    pub fn new(show: usize, accept: Accept) -> Collector {
        Collector {
            show,
            accepted: vec![0; accept.patterns().len()],
            accept,
            counts: Counts::default(),
            requests: 0,
            pairs: 0,
            examples: 0,
            first_fault: None,
            first_difference: None,
            groups: BTreeMap::new(),
            classes: BTreeMap::new(),
            reasons: BTreeMap::new(),
        }
    }

    /// Counts a request that was not compared for this reason.
    pub fn skip(&mut self, reason: &str) {
        self.requests += 1;
        self.counts.not_compared += 1;
        let name =
            bounded_key(&self.reasons, quoted(reason, TEXT_MAX).to_string(), REASONS_MAX, "other reasons");
        *self.reasons.entry(name).or_default() += 1;
    }

    /// Adds the verdict on a request, and the costs of its calls.
    pub fn add(&mut self, case: &Case<'_>, verdict: Verdict, current: Cost, candidate: Cost) {
        self.requests += 1;
        let class = quoted(case.class, NAME_MAX).to_string();
        let class = bounded_key(&self.classes, class, CLASSES_MAX, "other requests");
        let costs = self.classes.entry(class.clone()).or_default();
        costs.requests += 1;
        costs.memory.add(Memory { current_max_bytes: current.memory, candidate_max_bytes: candidate.memory });
        // A call that failed says nothing about the time of an answer.
        if matches!(verdict, Verdict::Same | Verdict::Different { .. }) && self.pairs < PAIRS_MAX {
            self.pairs += usize::from(costs.pairs.add(current.took, candidate.took));
        }
        match self.kind(case, &verdict) {
            Some(kind) => self.add_to_group(kind, class, case, verdict),
            None => self.counts.same += 1,
        }
    }

    /// Returns the kind of a verdict; [`None`] if the answers are the same. If a pattern accepts
    /// the difference, also counts it for that pattern.
    fn kind(&mut self, case: &Case<'_>, verdict: &Verdict) -> Option<Kind> {
        let kind = match verdict {
            Verdict::Same => return None,
            Verdict::BothFault { .. } if verdict.is_same() => return Some(Kind::BothFault),
            Verdict::BothFault { .. } => Kind::AnotherFault,
            Verdict::NewlyFaulting { .. } => Kind::NewlyFaulting,
            Verdict::Mended { .. } => Kind::Mended,
            Verdict::Different { .. } => Kind::Different,
        };
        let (is_accepted, pattern) = self.accept.accepts(verdict, case.method, case.target);
        if let Some(count) = pattern.and_then(|index| self.accepted.get_mut(index)) {
            *count += 1;
        }
        Some(if is_accepted { Kind::Accepted } else { kind })
    }

    fn add_to_group(&mut self, kind: Kind, class: String, case: &Case<'_>, verdict: Verdict) {
        *self.counts.of(kind) += 1;
        let target = request_line::target(case.target);
        let first = match kind {
            Kind::Accepted | Kind::BothFault => None,
            Kind::NewlyFaulting => Some(&mut self.first_fault),
            _ => Some(&mut self.first_difference),
        };
        if let Some(first @ None) = first {
            let (method, target) = (quoted(case.method, NAME_MAX), quoted(&target, TEXT_MAX));
            *first = verdict.first_difference().map(|difference| format!("{method} {target}: {difference}"));
        }
        let group = self.groups.entry((kind, class)).or_default();
        group.count += 1;
        if group.examples.len() < self.show && self.examples < EXAMPLES_MAX {
            self.examples += 1;
            group.examples.push(Example {
                method: quoted(case.method, NAME_MAX).to_string(),
                target: quoted(&target, TEXT_MAX).to_string(),
                id: quoted(case.id, NAME_MAX).to_string(),
                verdict,
            });
        }
    }

    /// Returns the report.
    pub fn finish(self) -> Report {
        let groups = self.groups.into_iter();
        let mut groups: Vec<Group> = groups
            .map(|((kind, class), Found { count, examples })| Group { kind, class, count, examples })
            .collect();
        groups.sort_by_key(|group| (group.kind, Reverse(group.count)));
        let by_patterns = self.accepted.iter().sum();
        let patterns = self.accept.patterns().iter().zip(self.accepted);
        let mut accepted: Vec<Accepted> = patterns
            .map(|(pattern, count)| Accepted {
                pattern: quoted(&pattern.to_string(), TEXT_MAX).to_string(),
                count,
            })
            .collect();
        if self.accept.accepts_all() {
            let count = self.counts.accepted.saturating_sub(by_patterns);
            accepted.push(Accepted { pattern: "accept-all".into(), count });
        }
        let mut memory = Memory::default();
        self.classes.values().for_each(|costs| memory.add(costs.memory));
        let classes = self.classes.into_iter().map(|(class, costs)| Class {
            class,
            requests: costs.requests,
            times: costs.pairs.times(),
            memory: costs.memory,
        });
        Report {
            requests: self.requests,
            counts: self.counts,
            first_difference: self.first_fault.or(self.first_difference),
            groups,
            examples_max: self.show as u64,
            not_compared: self.reasons.into_iter().map(|(reason, count)| Reason { reason, count }).collect(),
            accepted,
            classes: classes.collect(),
            memory,
        }
    }
}

/// Returns `key`, or `other` if the map is full and does not have `key`.
fn bounded_key<T>(map: &BTreeMap<String, T>, key: String, max: usize, other: &str) -> String {
    if map.contains_key(&key) || map.len() < max { key } else { other.to_owned() }
}
