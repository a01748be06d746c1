//! Metrics: what is counted while the server runs.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `shards` | counters that threads add to without waiting for each other |
//! | `histogram` | times in buckets |
//! | `requests` | the requests of a site and of its versions |
//! | `changes` | the changes of a site, and the times of the stages of candidates |
//! | `traffic` | what was counted between two readings |
//! | `family` | what was read, in the formats of Prometheus |

use self::changes::Changes;
use self::requests::Requests;

pub mod changes;
pub mod family;
pub mod histogram;
pub mod requests;
pub mod shards;
pub mod traffic;

/// Counters of a site.
#[derive(Default)]
pub struct OfSite {
    /// Counters of the requests of the site.
    pub requests: Requests,
    /// Counters of the changes of the site.
    pub changes: Changes,
}
