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
//! | `handed` | versions that the process before this one hands over |
//! | `gate` | proves a candidate on recent requests |
//! | `replayed` | the result of the latest candidate that was tried on recent requests |
//! | `traffic` | which version answers which request |
//! | `rolling` | a rollout: its plan, its progress, and what was found |
//! | `rollout` | takes a candidate through the steps of a rollout |
//! | `steer` | ends and steers a rollout |
//! | `rollout_status` | the state of a rollout, as it is shown |
//! | `probation` | counts and copies the requests to a version that is judged |
//! | `findings` | what was found about a version that is judged |
//! | `judge` | judges a version, and rolls back one that was published |
//! | `roll_back` | rolls back to a kept version |
//! | `by` | who ordered a swap or a rollback |
//! | `restore` | brings back the versions of an earlier process |
//! | `outcome` | the outcomes of swaps and rollbacks |
//! | `shared` | state that the tasks of a swapper share |
//! | `swapper` | the handle by which others order swaps and rollbacks |
//! | `changes` | lets the newest change cancel older ones |
//! | `swap` | prepares the bytes of a candidate, and publishes or rejects it |
//! | `publish` | publishes a candidate, or begins its rollout |
//! | `reload` | changes the source of the handler, its probes and its values |
//! | `optimise` | optimises the code of the versions that serve |
//! | `optimising` | the optimisations in progress |
//! | `entry` | a version as `host versions` shows it |
//! | `history` | keeps good versions for rollback, and the causes of rejections |
//! | `shelf` | machine code that sites share |
//! | `after_restart` | which version a restart begins with, as `host status` shows it |
//! | `store` | saves versions, and tracks which are saved |
//! | `saved` | the content of the state file |
//! | `state_dir` | reads and writes the state folder |
//! | `notice` | why the newest version does not serve, for `host dev` |
//! | `remedy` | what to change in a module that cannot serve, or could be better |

pub mod activate;
pub mod after_restart;
pub mod begin;
pub mod by;
mod changes;
pub mod current;
pub mod demand;
pub mod diff;
pub mod directory;
pub mod entry;
mod findings;
mod gate;
pub mod handed;
pub mod history;
mod judge;
pub mod notice;
mod optimise;
mod optimising;
pub mod outcome;
pub mod probation;
mod publish;
pub mod reload;
pub mod remedy;
pub mod replayed;
mod restore;
mod roll_back;
mod rolling;
mod rollout;
pub mod rollout_status;
pub mod saved;
pub mod shared;
pub mod shelf;
pub mod state_dir;
mod steer;
mod store;
pub mod swap;
pub mod swapper;
mod traffic;
pub mod version;
mod versions;
