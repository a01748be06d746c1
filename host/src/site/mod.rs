//! Sites and the versions of their handlers: which version serves, and how it is replaced.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `version` | a version: its label, origin and module |
//! | `versions` | all versions, and the one that serves |
//! | `demand` | requirements of the configuration for a site |
//! | `directory` | finds the site of a request by its host and its path |
//! | `current` | stores the current version, and the sites |
//! | `activate` | checks a candidate in stages before it may serve |
//! | `begin` | loads the first version when the server starts |
//! | `diff` | compares a module with a version, without publishing it |
//! | `handed` | versions that one server process hands over to the next in an upgrade |
//! | `gate` | tests a candidate with recent requests |
//! | `replayed` | the result of running recent requests again on the latest candidate |
//! | `traffic` | which version answers which request |
//! | `rolling` | state of a rollout: its plan, its progress, and the evidence on its candidate |
//! | `rollout` | takes a candidate through the steps of a rollout |
//! | `steer` | ends, pauses, resumes and promotes a rollout |
//! | `rollout_status` | the state of a rollout, as commands and the API show it |
//! | `probation` | counts the requests to a version that is judged, and copies some for the judge |
//! | `findings` | evidence and report on a version that is being judged |
//! | `judge` | judges a version, and rolls back one that was published |
//! | `roll_back` | rolls back to a kept version |
//! | `by` | who ordered a swap or a rollback |
//! | `restore` | restores the versions of an earlier server process |
//! | `outcome` | the outcomes of swaps and rollbacks |
//! | `shared` | state of a site that the tasks for its swaps, rollbacks and rollouts share |
//! | `swapper` | the handle with which commands, signals and the file watch order swaps and rollbacks |
//! | `changes` | lets the newest change cancel older ones |
//! | `swap` | prepares the bytes of a candidate, and publishes or rejects it |
//! | `publish` | publishes a candidate, or begins its rollout |
//! | `reload` | applies a reloaded configuration to a site |
//! | `optimise` | optimises the code of the versions that serve |
//! | `optimising` | the optimisations in progress |
//! | `entry` | a version as `host versions` shows it |
//! | `history` | keeps good versions for rollback, and the causes of rejections |
//! | `shelf` | machine code that sites share |
//! | `after_restart` | which version serves first after a restart, as `host status` shows it |
//! | `store` | saves versions, and tracks which are saved |
//! | `saved` | the content of the state file |
//! | `state_dir` | reads and writes the state folder |
//! | `notice` | why the newest version does not serve, for `host dev` |
//! | `remedy` | what to change in modules that cannot serve, or that could be better |

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
