//! Compares the answers of two versions to one request. Everything a verdict shows is escaped and
//! bounded; the work is linear in the size of the answers.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `verdict` | compares two outcomes |
//! | `part` | a part in which two answers differ, and its text |
//! | `field` | compares the headers |
//! | `body` | compares the bodies as JSON, as text or as bytes |
//! | `json` | finds the differing paths of two JSON texts |
//! | `text` | finds the differing lines of two texts |
//! | `lines` | aligns the lines of two short texts |
//! | `shown` | escapes and cuts what is shown |

pub mod body;
mod field;
pub mod json;
mod lines;
pub mod part;
mod shown;
pub mod text;
pub mod verdict;
