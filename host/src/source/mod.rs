//! Source of automatic swaps: the watched module file.

pub mod watch;
