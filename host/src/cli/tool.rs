//! The commands for those who write a handler. They need no running server.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::dev::{self, Dev};
use crate::cli::{bench, call, check, new, replay, test};

/// What is done with a module that does not serve.
#[derive(Clone, Debug, Subcommand)]
pub enum Tool {
    /// Write a crate that is a handler, with tests and with all that it needs
    New(new::New),
    /// Build the crate in a folder, serve it, and do so again whenever a file there is saved
    #[command(mut_args(dev::fit))]
    Dev(Box<Dev>),
    /// Say whether a module can serve, and if not, why; and what is to be known of it
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Check(Box<check::Check>),
    /// Send one request to a module, without a server, and show its answer
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Call(Box<call::Call>),
    /// Send the requests of files to a module, and compare its answers with what is expected there
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Test(Box<test::Test>),
    /// Make requests again that were recorded, and compare how they end
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Replay(Box<replay::Replay>),
}

/// Runs a tool. `develop` is what starts a server for a crate.
///
/// # Errors
///
/// One line: why there is nothing to tell.
pub fn run(tool: Tool, develop: impl FnOnce(Dev) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    match tool {
        Tool::New(new) => new::run(&new),
        Tool::Dev(dev) => develop(*dev).map(|()| ExitCode::SUCCESS),
        Tool::Check(check) => check::run(&check),
        Tool::Call(call) => call::run(&call),
        Tool::Test(test) => test::run(&test),
        Tool::Replay(replay) => replay::run(&replay),
    }
}
