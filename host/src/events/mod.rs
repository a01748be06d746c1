//! Events: tells those who follow the server what changes and which faults occur.
//!
//! | file | responsibility |
//! | --- | --- |
//! | `event` | the events and their fields |
//! | `ring` | keeps the latest events |
//! | `hub` | takes events, and hands them to those who follow |
//! | `traffic` | samples of the traffic for those who follow it |

pub mod event;
pub mod hub;
mod ring;
pub mod traffic;
