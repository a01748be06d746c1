//! What a judge has found: the reason why a version is worse, and the evidence so far.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reason why a version is worse than the one before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// It fails requests that the old version answers.
    Failures {
        /// Number of requests that only the new version fails.
        worse: u64,
        /// Number of requests that only the old version fails.
        better: u64,
        /// Evidence that the new version fails more often.
        evidence: f64,
        /// Evidence that decides.
        limit: f64,
    },
    /// It fails a large share of the requests.
    Share {
        /// Number of requests that it served.
        served: u64,
        /// Number of those that failed.
        failed: u64,
        /// Number of failed requests that were run again.
        tried: u64,
        /// Number of those that only the new version failed again.
        worse: u64,
    },
    /// It is slower in a class of requests.
    Times {
        /// Class of the requests; `other classes` stands for those after the first 255.
        class: String,
        /// Ratio of two times above which a call is too slow.
        ratio: f64,
        /// Number of requests whose times were compared.
        pairs: u64,
        /// Number of those that are too slow with the new version.
        slower: u64,
        /// Number of those that are too slow with the old version.
        faster: u64,
        /// Evidence that the new version is slower.
        evidence: f64,
        /// Evidence that decides.
        limit: f64,
    },
}

impl Reason {
    /// Returns the reason in words, with the numbers of both versions.
    pub fn text(&self, old: u64, new: u64) -> String {
        self.tell(&format!("version {old}"), &format!("version {new}"))
    }

    fn tell(&self, old: &str, new: &str) -> String {
        match self {
            Reason::Failures { worse, better, evidence, limit } => format!(
                "{worse} requests fail that {old} answers, and {better} the other way round (evidence \
                 {evidence:.0}, limit {limit:.0})"
            ),
            Reason::Share { served, failed, tried, worse } => format!(
                "{failed} of {served} requests failed, and {worse} of {tried} that were run again do so only \
                 since {new}"
            ),
            Reason::Times { class, ratio, pairs, slower, faster, evidence, limit } => format!(
                "{slower} of {pairs} requests in {class} take more than {ratio} times as long as with {old}, \
                 and {faster} the other way round (evidence {evidence:.0}, limit {limit:.0})"
            ),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tell("the old version", "the new version"))
    }
}

/// Evidence so far that a version is worse than the one before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// Number of requests that only the new version fails.
    pub worse: u64,
    /// Number of requests that only the old version fails.
    pub better: u64,
    /// Evidence that the new version fails more often; without failures it is 1.
    pub evidence: f64,
    /// Evidence that decides.
    pub limit: f64,
    /// Classes with a difference of times, at most 10, those with the most evidence first.
    pub times: Vec<ClassEvidence>,
}

/// Evidence so far that a version is slower in a class of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassEvidence {
    /// Class of the requests; `other classes` stands for those after the first 255.
    pub class: String,
    /// Number of requests whose times were compared.
    pub pairs: u64,
    /// Number of those that are too slow with the new version.
    pub slower: u64,
    /// Number of those that are too slow with the old version.
    pub faster: u64,
    /// Evidence that the new version is slower.
    pub evidence: f64,
    /// Evidence that decides, if in addition the slower requests are more than the faster ones by
    /// more than 1 % of all.
    pub limit: f64,
}
