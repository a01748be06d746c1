//! Compares the responses of two versions to one request. All texts in the result, the verdict, are
//! escaped and limited in length. The work is linear in the size of the responses.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `verdict` | compares two outcomes |
//! | `part` | a part in which two responses differ, and its text |
//! | `field` | compares the headers |
//! | `body` | compares the bodies as JSON, as text or as bytes |
//! | `json` | finds the paths at which two JSON texts differ |
//! | `text` | finds the lines in which two texts differ |
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
