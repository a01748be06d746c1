//! Report on a candidate, in the form of JSON for programs.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::verdict::Verdict;
use crate::rollout::report::cost::{Memory, Times};

/// Report on a candidate, whose answers were compared with those of the current version. All texts
/// of requests and answers are escaped and cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Number of requests, including those that were not compared.
    pub requests: u64,
    /// Number of requests of each kind.
    pub counts: Counts,
    /// One line about the first request that fails only with the candidate, or else about the first
    /// one whose answers differ. Leaves out accepted requests; absent if there is no such request.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_difference: Option<String>,
    /// Requests that differ or fail, in groups by kind of difference and class of requests; the
    /// largest groups of a kind first.
    pub groups: Vec<Group>,
    /// Largest number of examples that are reported for each group.
    pub examples_max: u64,
    /// Reasons for which requests were not compared, with the number of requests for each.
    pub not_compared: Vec<Reason>,
    /// Patterns of requests whose differences are accepted, and `accept-all` if all differences are
    /// accepted.
    pub accepted: Vec<Accepted>,
    /// Times and memory of the calls, by class of requests.
    pub classes: Vec<Class>,
    /// Largest memory of a call, over all classes.
    pub memory: Memory,
}

/// Number of requests by the result of the comparison. Each request has one result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Requests to which both versions gave the same answer, with a status below 500.
    pub same: u64,
    /// Requests that both versions answered with a status below 500, but with different answers.
    pub different: u64,
    /// Requests that failed only with the candidate.
    pub newly_faulting: u64,
    /// Requests that failed only with the current version.
    pub mended: u64,
    /// Requests that failed with both versions in the same way, so that a client gets the same
    /// response.
    pub both_fault: u64,
    /// Requests that failed with both versions in different ways: by different faults, or with
    /// different responses.
    pub another_fault: u64,
    /// Requests that differ or fail, and that a pattern or `accept-all` accepts.
    pub accepted: u64,
    /// Requests that were not compared.
    pub not_compared: u64,
}

/// Kind of difference of the answers to a request. The order of the variants is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Requests that failed only with the candidate.
    NewlyFaulting,
    /// Requests that failed with both versions in different ways: by different faults, or with
    /// different responses.
    AnotherFault,
    /// Requests that failed only with the current version.
    Mended,
    /// Requests that failed with both versions in the same way, so that a client gets the same
    /// response.
    BothFault,
    /// Requests that both versions answered with a status below 500, but with different answers.
    Different,
    /// Requests that differ or fail, and that a pattern or `accept-all` accepts.
    Accepted,
}

/// Requests with the same kind of difference and of the same class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Kind of difference of the answers to the requests.
    pub kind: Kind,
    /// Class of the requests.
    pub class: String,
    /// Number of requests in the group.
    pub count: u64,
    /// First requests of the group, at most `examples_max` of the report.
    pub examples: Vec<Example>,
}

/// Request that a report shows as an example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Example {
    /// Method of the request.
    pub method: String,
    /// Target of the request.
    pub target: String,
    /// Id of the request.
    pub id: String,
    /// Verdict on the request.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// Reason for which requests were not compared.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Reason {
    /// Reason, as text.
    pub reason: String,
    /// Number of requests that were not compared for this reason.
    pub count: u64,
}

/// Pattern of requests whose differences are accepted, with the number of differences that it
/// accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Pattern of requests, such as `GET /about*`; `accept-all` for all requests that no pattern
    /// has accepted.
    pub pattern: String,
    /// Number of differences that the pattern accepted.
    pub count: u64,
}

/// Times and memory of the calls for the requests of one class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Class of the requests, such as `GET /items/* 200`.
    pub class: String,
    /// Number of requests of the class that were compared.
    pub requests: u64,
    /// Times of the calls; absent if fewer than 20 requests were measured, which both versions have
    /// to answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub times: Option<Times>,
    /// Largest memory of a call in the class.
    pub memory: Memory,
}

impl Report {
    /// Returns the number of requests that were compared.
    pub fn compared(&self) -> u64 {
        self.requests.saturating_sub(self.counts.not_compared)
    }

    /// Returns whether a client gets the same response to each compared request, except for
    /// accepted differences.
    pub fn is_same(&self) -> bool {
        let Counts { different, newly_faulting, mended, another_fault, .. } = self.counts;
        different + newly_faulting + mended + another_fault == 0
    }

    /// Returns the number of requests that fail only with the candidate, except for accepted ones.
    pub fn newly_faulting(&self) -> u64 {
        self.counts.newly_faulting
    }

    /// Returns one line about the first request that differs and is not accepted. A request that
    /// fails only with the candidate takes precedence over other differences.
    pub fn first_difference(&self) -> Option<&str> {
        self.first_difference.as_deref()
    }
}

impl Counts {
    /// Returns the counter of the requests of a kind.
    pub(super) fn of(&mut self, kind: Kind) -> &mut u64 {
        match kind {
            Kind::NewlyFaulting => &mut self.newly_faulting,
            Kind::AnotherFault => &mut self.another_fault,
            Kind::Mended => &mut self.mended,
            Kind::BothFault => &mut self.both_fault,
            Kind::Different => &mut self.different,
            Kind::Accepted => &mut self.accepted,
        }
    }
}
