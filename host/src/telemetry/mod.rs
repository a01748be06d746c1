//! The log.

pub mod log;
pub mod log_line;
pub mod log_queue;
