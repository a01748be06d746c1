//! Versions of the handler: which one is current, and how another becomes current.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `version` | a version: number, origin, hash and compiled module |
//! | `versions` | the current version and the history, changed together |
//! | `current` | the current version, read once by each request |
//! | `activate` | the stages that a candidate passes before it serves |
//! | `begin` | the first version after the start |
//! | `restore` | loading the other versions of an earlier process; dropping versions that are no longer kept |
//! | `swapper` | orders to swap or roll back, and their outcomes |
//! | `orders` | the newest order, which cancels the others |
//! | `candidate` | the execution of a swap |
//! | `optimise` | compiling the current version again, with full optimisation |
//! | `history` | remembered versions: good ones for rollback, rejected ones with reasons |
//! | `store` | which versions are saved, and which not yet |
//! | `state_dir` | the state folder on disk |
//! | `notice` | rejections shown to the author of a handler |
//! | `watch` | changes of the module file |

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
pub use history::{Entry, History, VersionState};
pub use notice::Notice;
pub use state_dir::StateDir;
pub use swapper::{IsGone, Outcome, Settings, Swapper, Task};
pub use version::{EMBEDDED, Label, Origin, Version, hash};
