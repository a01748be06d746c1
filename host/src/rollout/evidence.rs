//! Results of a judge: the reason why a new version is worse than the one before it, and the
//! evidence so far.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Reason why a version is worse than the one before it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Reason {
    /// The new version fails requests that the old version answers.
    Failures {
        /// Number of requests that only the new version fails.
        worse: u64,
        /// Number of requests that only the old version fails.
        better: u64,
        /// Evidence that the new version fails more often.
        evidence: f64,
        /// Evidence from which on the new version counts as worse.
        limit: f64,
    },
    /// The new version fails a large share of the requests.
    Share {
        /// Number of requests that the new version served to clients.
        served: u64,
        /// Number of served requests that failed.
        failed: u64,
        /// Number of failed requests that were run again.
        tried: u64,
        /// Number of failed requests that, when run again, failed only with the new version.
        worse: u64,
    },
    /// The new version is slower in a class of requests.
    Times {
        /// Class of the requests; `other classes` stands for all classes after the first 255.
        class: String,
        /// Ratio of the times of a call with the two versions above which the call is too slow.
        ratio: f64,
        /// Number of requests whose times were compared.
        pairs: u64,
        /// Number of requests that are too slow with the new version, compared with the old one.
        slower: u64,
        /// Number of requests that are too slow with the old version, compared with the new one.
        faster: u64,
        /// Evidence that the new version is slower.
        evidence: f64,
        /// Evidence from which on the new version counts as worse.
        limit: f64,
    },
}

impl Reason {
    /// Returns the reason in words. `old` and `new` are the numbers of the two versions.
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
    /// Evidence that the new version fails more often; 1 without failures.
    pub evidence: f64,
    /// Evidence from which on the new version counts as worse.
    pub limit: f64,
    /// Evidence for the classes of requests in which times differ: at most 10 classes, those with
    /// the most evidence first.
    pub times: Vec<ClassEvidence>,
}

/// Evidence so far that a version is slower in a class of requests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ClassEvidence {
    /// Class of the requests; `other classes` stands for all classes after the first 255.
    pub class: String,
    /// Number of requests whose times were compared.
    pub pairs: u64,
    /// Number of requests that are too slow with the new version, compared with the old one.
    pub slower: u64,
    /// Number of requests that are too slow with the old version, compared with the new one.
    pub faster: u64,
    /// Evidence that the new version is slower.
    pub evidence: f64,
    /// Evidence from which on the new version counts as worse, if it is also clearly slower: at
    /// least two slower requests for each faster one, and more slower than faster ones by over 1 %
    /// of all.
    pub limit: f64,
}
