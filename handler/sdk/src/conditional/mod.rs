//! Conditional requests and ranges (RFC 9110, sections 13 and 14).
//!
//! | file | responsibility |
//! | --- | --- |
//! | `respond` | turns a response with the whole content into 200, 206, 304, 412 or 416; evaluates `If-Range` |
//! | `precondition` | evaluates the preconditions of a request against the validators of a resource |
//! | `range` | parses the field `range` |
//! | `etag` | entity tags: creates, parses and compares them |

mod etag;
mod precondition;
mod range;
mod respond;

pub use etag::ETag;
pub use precondition::{Precondition, Validators};
