//! Metrics: what is counted while the server runs.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `shards` | counters that threads add to without waiting for each other |
//! | `histogram` | times in buckets |
//! | `requests` | the requests of a site and of its versions |
//! | `changes` | the changes of a site, and the times of their stages |
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

/// What is counted of a site.
#[derive(Default)]
pub struct OfSite {
    /// Requests.
    pub requests: Requests,
    /// Changes.
    pub changes: Changes,
}
