//! The report on a candidate, as programs read it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::rollout::compare::verdict::Verdict;
use crate::rollout::report::cost::{Memory, Times};

/// Report on a candidate. All texts of requests and answers are escaped and cut.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Report {
    /// Number of requests, including those that were not compared.
    pub requests: u64,
    /// Number of requests of each kind.
    pub counts: Counts,
    /// First request that fails only with the candidate, or the first one that differs, without
    /// those that are accepted.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first_difference: Option<String>,
    /// Requests that are not the same, by kind and class; the largest groups of a kind first.
    pub groups: Vec<Group>,
    /// Most examples of a group.
    pub examples_max: u64,
    /// Reasons for which requests were not compared.
    pub not_compared: Vec<Reason>,
    /// Patterns of accepted differences, and `--accept-all` if it is set.
    pub accepted: Vec<Accepted>,
    /// Costs of the classes.
    pub classes: Vec<Class>,
    /// Most memory of all calls.
    pub memory: Memory,
}

/// Number of requests of each kind. Each request is of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Counts {
    /// Same answer, with a status below 500.
    pub same: u64,
    /// Different answers.
    pub different: u64,
    /// Failed only with the candidate.
    pub newly_faulting: u64,
    /// Failed only with the current version.
    pub mended: u64,
    /// Failed with both versions, by the same fault.
    pub both_fault: u64,
    /// Failed with both versions, by another fault or with another response.
    pub another_fault: u64,
    /// Not the same, but accepted beforehand.
    pub accepted: u64,
    /// Not compared.
    pub not_compared: u64,
}

/// Kind of requests that are not the same. The order is that of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Failed only with the candidate.
    NewlyFaulting,
    /// Failed with both versions, by another fault or with another response.
    AnotherFault,
    /// Failed only with the current version.
    Mended,
    /// Failed with both versions, by the same fault.
    BothFault,
    /// Different answers.
    Different,
    /// Not the same, but accepted beforehand.
    Accepted,
}

/// Requests of one kind and class.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// Kind of the requests.
    pub kind: Kind,
    /// Class of the requests.
    pub class: String,
    /// Number of requests.
    pub count: u64,
    /// First requests.
    pub examples: Vec<Example>,
}

/// Example of a group.
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
    /// Reason.
    pub reason: String,
    /// Number of requests.
    pub count: u64,
}

/// Pattern of accepted differences.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// Pattern of requests.
    pub pattern: String,
    /// Number of differences that the pattern accepted.
    pub count: u64,
}

/// Costs of the requests of a class.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Class {
    /// Class.
    pub class: String,
    /// Number of requests that were compared.
    pub requests: u64,
    /// Times of the calls, from 20 requests on that both versions answered.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub times: Option<Times>,
    /// Most memory of the calls.
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

    /// Returns the number of requests that fail only with the candidate, without accepted requests.
    pub fn newly_faulting(&self) -> u64 {
        self.counts.newly_faulting
    }

    /// Returns one line about the first request that is not the same and not accepted. A request
    /// that fails only with the candidate comes before others.
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
