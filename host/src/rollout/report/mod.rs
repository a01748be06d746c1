//! Reports the verdicts on many requests: to a person as text, to programs as JSON, and to the
//! gate that accepts or rejects a candidate.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `outcomes` | the report, as programs read it |
//! | `collector` | collects verdicts, times and memory |
//! | `accept` | differences that the operator accepts beforehand |
//! | `cost` | compares the times and the memory of calls |
//! | `text` | writes the report for a person |
//! | `cost_text` | writes the times and the memory of calls |
//! | `number` | formats numbers |

pub mod accept;
pub mod collector;
pub mod cost;
mod cost_text;
pub(crate) mod number;
pub mod outcomes;
mod text;
