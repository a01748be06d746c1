//! Events: tells clients that follow the server what changes and which faults occur.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `event` | the events and their fields |
//! | `ring` | keeps the latest events |
//! | `hub` | takes events, and hands them to the clients that follow |
//! | `traffic` | samples of the traffic for the clients that follow it |

pub mod event;
pub mod hub;
mod ring;
pub mod traffic;
