//! Code that the tests share: the server as a child process, a strict HTTP client, and
//! modules for special purposes.

pub mod bombs;
mod client;
pub mod components;
mod configured;
mod deployment;
mod folder;
pub mod hoarder;
pub mod modules;
pub mod near_valid;
pub mod oracle;
pub mod paths;
mod random;
mod server;
pub mod wire;

pub use client::{Client, Reply};
pub use configured::Configured;
pub use deployment::Deployment;
pub use folder::{Folder, TextFile, make_pipe, rename_over};
pub use paths::{fixture, fixture_text, scratch};
pub use random::Random;
pub use server::{
    PATIENCE, Server, fails_to_start, host, host_after, host_at, kill, output_of, ready_address, run_to_end,
    status_kib, wait_until,
};
