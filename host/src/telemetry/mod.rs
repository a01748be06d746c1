//! Log of the server, and notifications to systemd.

pub mod log;
pub mod log_line;
pub mod log_output;
pub mod log_queue;
pub mod redact;
pub mod request_line;
pub mod service;
