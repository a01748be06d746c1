//! Versions of the handler, which of them serves, and how another one replaces it.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `version` | a version: its label, origin and module |
//! | `versions` | all versions, and the one that serves |
//! | `current` | stores the current version |
//! | `activate` | takes a candidate through the stages before it serves |
//! | `begin` | chooses the first version after the start |
//! | `restore` | brings back the versions of an earlier process |
//! | `task` | what may be ordered, and the outcomes |
//! | `shared` | what the tasks of a swapper share |
//! | `swapper` | accepts orders to swap, and returns their outcomes |
//! | `orders` | lets the newest order cancel older ones |
//! | `candidate` | carries out an order |
//! | `optimise` | compiles the current version again, thoroughly |
//! | `history` | keeps good versions for rollback, and the causes of rejections |
//! | `store` | saves versions, and knows which are durable |
//! | `state_dir` | the format of the state folder |
//! | `notice` | shows a rejection to the author of the handler |

pub mod activate;
pub mod begin;
mod candidate;
pub mod current;
pub mod history;
pub mod notice;
mod optimise;
mod orders;
mod restore;
mod shared;
pub mod state_dir;
mod store;
pub mod swapper;
pub mod task;
pub mod version;
mod versions;
