//! Where candidates come from by themselves: a file that is watched.

pub mod watch;
