//! Proof of a candidate before it serves: recent requests are run through it and through the
//! current version, and the answers are compared.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `journal` | keeps a bounded sample of recent requests |
//! | `exchange` | a kept request |
//! | `class` | tells kinds of requests apart |
//! | `rates` | limits how often requests of one class are kept |
//! | `kept` | holds requests by class, and evicts them when it is full |
//! | `replay` | runs the requests through two versions |
//! | `compare/` | compares two answers to one request |
//! | `report/` | collects what came of all requests |
//! | `export` | writes the kept requests as a request file |
//! | `martingale` | evidence that may be looked at after each observation |
//! | `judge` | judges whether a candidate is worse |
//! | `evidence` | what a judge has found |
//! | `share` | shares of the traffic, and the steps in which they rise |
//! | `assign` | assigns clients to the candidate |
//! | `plan` | the plan of a rollout |
//! | `progress` | the phases of a rollout |
//! | `as_text` | values that are texts in JSON |
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
