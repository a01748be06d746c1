//! Event streams: tell the clients of the API what changes in the server and which faults occur.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `event` | the events and their fields |
//! | `ring` | keeps the latest events |
//! | `hub` | takes events, and sends them to the clients that subscribe |
//! | `traffic` | samples of the traffic for the clients that subscribe to them |

pub mod event;
pub mod hub;
mod ring;
pub mod traffic;
