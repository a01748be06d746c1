//! Replaces the running program by a new one without closing a socket. The new process takes over
//! the sockets, the locks and the versions of all sites. The old process completes the requests
//! that it has begun to answer.
//!
//! ```text
//! old process                                    new process
//! starts the program, sends sockets,      ---->  reads its configuration, prepares the current versions
//! locks and versions
//!                                         <----  ready
//! refuses changes from now on                    (if a change came before, is ended and started again)
//!                                         ---->  go
//! still accepts connections                      takes the state folder, starts to accept connections
//!                                         <----  serving
//! tells the service manager the new id    ---->  main
//! answers its last requests, and ends            prints its addresses
//! ```
//!
//! | file | purpose |
//! | --- | --- |
//! | `handover` | the part in the old process: starts the new one, and continues to serve if it fails |
//! | `lifecycle` | upgrades, reloads, settings and limits, for the API |
//! | `new_process` | how the old process starts, awaits and ends the new one |
//! | `program` | finds the program to start |
//! | `takeover` | the part in the new process: receives what is sent, and waits until it may serve |
//! | `wire` | messages between the two processes |

pub mod handover;
mod lifecycle;
mod new_process;
pub mod program;
pub mod takeover;
pub mod wire;
