//! Versions of the handler, which of them serves, and how another comes to.
//!
//! | file | question |
//! | --- | --- |
//! | `version` | what is a version, and where does it come from? |
//! | `versions` | which versions are there, and which of them serves? |
//! | `current` | which version serves now? |
//! | `activate` | what does a candidate go through before it serves? |
//! | `begin` | which version is the first after the start? |
//! | `restore` | what comes back of an earlier process behind it? |
//! | `swapper` | how is a swap ordered, and what came of it? |
//! | `orders` | which order is the newest, and ends the others? |
//! | `candidate` | how is an order carried out? |
//! | `optimise` | how is a version compiled again, once it serves? |
//! | `history` | which versions can come back, and why did others not serve? |
//! | `store` | which versions survive a restart, and which not yet? |
//! | `state_dir` | how are they kept on disk? |
//! | `notice` | how does the author of a handler see a rejection? |
//! | `watch` | who notices that the file has changed? |

mod activate;
mod begin;
mod candidate;
mod current;
mod history;
mod notice;
mod optimise;
mod orders;
mod restore;
pub(crate) mod state_dir;
mod store;
mod swapper;
mod version;
mod versions;
pub mod watch;

pub use activate::Workshop;
pub use begin::begin;
pub use current::Serving;
pub use history::{Entry, History};
pub use notice::Notice;
pub use state_dir::StateDir;
pub use swapper::{IsGone, Outcome, Settings, Swapper, Task};
pub use version::{EMBEDDED, Label, Origin, Version, hash};
