//! Replaces the running program by a new one without closing a socket. The new process takes over
//! the sockets, the locks and the versions of all sites, and the old one answers what it has
//! begun.
//!
//! ```text
//! old process                                    new process
//! starts the program, sends all it holds  ---->  reads its configuration, prepares the current versions
//!                                         <----  ready
//! makes no more changes, unless one came         (then it is ended, and another one started)
//!                                         ---->  go
//! still accepts connections                      takes the state folder, starts to accept
//!                                         <----  serving
//! names it to the service manager         ---->  main
//! answers its last requests, and ends            announces itself
//! ```
//!
//! | file | purpose |
//! | --- | --- |
//! | `handover` | the old process: starts the new one, and goes on if it fails |
//! | `lifecycle` | upgrades, reloads, settings and limits, for the API |
//! | `new_process` | the new process, as the old one sees it |
//! | `program` | which program is started |
//! | `takeover` | the new process: receives, and waits for its turn |
//! | `wire` | messages between the two processes |

pub mod handover;
mod lifecycle;
mod new_process;
pub mod program;
pub mod takeover;
pub mod wire;
