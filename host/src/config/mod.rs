//! Limits: flags with their defaults and reasons.

pub mod call;
pub mod connection;
pub mod limits;
pub mod server;
pub mod swap;
pub mod value;
