//! Tests a candidate before it serves: replays recent requests on the candidate and on the current
//! version, and compares the answers. Also assigns clients to the candidate of a rollout, and
//! judges whether the candidate is worse than the current version.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `journal` | keeps a bounded sample of recent requests |
//! | `exchange` | a kept request, with a summary of its answer |
//! | `class` | groups similar requests into classes |
//! | `rates` | limits how often requests of one class are kept |
//! | `kept` | stores kept requests by class, and evicts some when the journal is full |
//! | `replay` | runs the kept requests on two versions |
//! | `mask` | masks secrets in what a report shows |
//! | `compare/` | compares two answers to one request |
//! | `report/` | summarises the results of all requests |
//! | `export` | writes the kept requests as a request file |
//! | `martingale` | a statistical test that may be checked after each observation |
//! | `judge` | judges whether a candidate is worse |
//! | `evidence` | what a judge has found |
//! | `share` | shares of the traffic, and the steps in which they rise |
//! | `assign` | assigns clients to the candidate |
//! | `plan` | the plan of a rollout |
//! | `progress` | the phases of a rollout |
//! | `as_text` | conversions of values that are strings in JSON and TOML |
//! | `flags` | flags about the journal and the gate |
//! | `plan_flags` | flags about rollouts |

pub(crate) mod as_text;
pub mod assign;
pub mod class;
pub mod compare;
pub mod evidence;
pub mod exchange;
pub mod export;
pub mod flags;
pub mod journal;
pub mod judge;
pub(crate) mod kept;
pub mod martingale;
mod mask;
pub mod plan;
pub mod plan_flags;
pub mod progress;
pub(crate) mod rates;
pub mod replay;
pub mod report;
pub mod share;
#[cfg(test)]
mod xorshift;
