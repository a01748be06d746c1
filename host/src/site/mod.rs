//! Sites, and the versions of their handlers: which one serves, and how another one replaces it.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `version` | a version: its label, origin and module |
//! | `versions` | all versions, and the one that serves |
//! | `demand` | what the configuration asks of a site |
//! | `directory` | finds the site of a request by its host and its path |
//! | `current` | stores the current version, and the sites |
//! | `activate` | takes a candidate through the stages before it serves |
//! | `begin` | chooses the first version after the start |
//! | `diff` | compares a module with a version, without publishing it |
//! | `gate` | proves a candidate on recent requests |
//! | `probation` | watches a version after it was published |
//! | `judge` | rolls back a version that is worse than the one before |
//! | `roll_back` | rolls back to a kept version |
//! | `by` | who ordered a swap or a rollback |
//! | `restore` | brings back the versions of an earlier process |
//! | `outcome` | the outcomes of swaps and rollbacks |
//! | `shared` | state that the tasks of a swapper share |
//! | `swapper` | the handle by which others order swaps and rollbacks |
//! | `changes` | lets the newest change cancel older ones |
//! | `swap` | prepares the bytes of a candidate, and publishes or rejects it |
//! | `reload` | changes the source of the handler, its probes and its values |
//! | `optimise` | compiles the current version again, thoroughly |
//! | `history` | keeps good versions for rollback, and the causes of rejections |
//! | `shelf` | machine code that sites share |
//! | `store` | saves versions, and tracks which are saved |
//! | `state_dir` | reads and writes the state folder |
//! | `notice` | why the newest version does not serve, for `host dev` |
//! | `remedy` | what to change in a module that cannot serve, or could be better |

pub mod activate;
pub mod begin;
pub mod by;
mod changes;
pub mod current;
pub mod demand;
pub mod diff;
pub mod directory;
mod gate;
pub mod history;
mod judge;
pub mod notice;
mod optimise;
pub mod outcome;
pub mod probation;
pub mod reload;
pub mod remedy;
mod restore;
mod roll_back;
pub mod shared;
pub mod shelf;
pub mod state_dir;
mod store;
pub mod swap;
pub mod swapper;
pub mod version;
mod versions;
