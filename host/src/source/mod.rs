//! Source of automatic swaps: the watched module file.

mod absence;
pub mod watch;
pub mod watches;
