//! Source of swaps that nobody orders: the watched module file.

pub mod watch;
