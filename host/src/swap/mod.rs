//! Versions of the handler, which of them serves, and how another comes to.
//!
//! | file | question |
//! | --- | --- |
//! | `version` | what is a version, and where does it come from? |
//! | `versions` | which versions are there, and which of them serves? |
//! | `current` | which version serves now? |
//! | `activate` | what does a candidate go through before it serves? |
//! | `begin` | which version is the first after the start? |
//! | `swapper` | how is a swap ordered, and what came of it? |
//! | `worker` | who carries the orders out? |
//! | `optimise` | who compiles a version again, once it serves? |
//! | `history` | which versions can come back, and why did others not serve? |
//! | `state_dir` | how do versions survive a restart? |
//! | `watch` | who notices that the file has changed? |

mod activate;
mod begin;
mod current;
mod history;
mod optimise;
mod state_dir;
mod swapper;
mod version;
mod versions;
pub mod watch;
mod worker;

pub use begin::begin;
pub use current::Serving;
pub use history::{Entry, History};
pub use state_dir::StateDir;
pub use swapper::{Outcome, Settings, Swapper, Task};
pub use version::{EMBEDDED, Label, Origin, Version, hash};
