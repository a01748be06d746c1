//! Versions of the handler, which of them serves, and how another comes to.
//!
//! | file | question |
//! | --- | --- |
//! | `version` | what is a version, and where does it come from? |
//! | `current` | which version serves now? |
//! | `activate` | what does a candidate go through before it serves? |
//! | `swapper` | who swaps, in which order, and what comes of it? |
//! | `history` | which versions can come back, and why did others not serve? |
//! | `watch` | who notices that the file has changed? |

pub mod activate;
mod current;
mod history;
mod swapper;
mod version;
pub mod watch;

pub use history::{Entry, History};
pub use swapper::{Outcome, Settings, Swapper, Task};
pub use version::{EMBEDDED, Label, Origin, Version};
