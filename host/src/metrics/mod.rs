//! Metrics: counts requests and changes while the server runs, and writes the counts as text.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `shards` | counters that several threads increment without waiting for each other |
//! | `histogram` | times in buckets |
//! | `requests` | the requests of a site and of its versions |
//! | `changes` | the changes of a site, and how long candidates take for each stage |
//! | `traffic` | what was counted between two readings |
//! | `family` | writes metrics in the formats of OpenMetrics and Prometheus |

use self::changes::Changes;
use self::requests::Requests;

pub mod changes;
pub mod family;
pub mod histogram;
pub mod requests;
pub mod shards;
pub mod traffic;

/// Counters of one site, or of the requests that belong to no site.
#[derive(Default)]
pub struct OfSite {
    /// Counters of the requests of the site.
    pub requests: Requests,
    /// Counters of the changes of the site.
    pub changes: Changes,
}
