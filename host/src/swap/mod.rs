//! Versions of the handler, and which of them serves.
//!
//! | file | question |
//! | --- | --- |
//! | `version` | what is a version, and where does it come from? |
//! | `current` | which version serves now? |

mod current;
mod version;

pub use current::Current;
pub use version::{EMBEDDED, Origin, Version};
