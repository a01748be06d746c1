//! Conditional requests and ranges (RFC 9110, sections 13 and 14).

mod etag;
mod precondition;
mod range;
mod respond;

pub use etag::ETag;
pub use precondition::{Precondition, Validators};
