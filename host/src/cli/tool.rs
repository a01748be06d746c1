//! Commands for authors of handlers. They need no running server.

use std::process::ExitCode;

use clap::Subcommand;

use crate::cli::dev::{self, Dev};
use crate::cli::{bench, call, check, new, replay, test};

/// Tools that work without a running server.
#[derive(Clone, Debug, Subcommand)]
pub enum Tool {
    /// Create a crate for a handler, with the SDK, tests and request files
    New(new::New),
    /// Build and serve the crate in a folder, and do so again whenever a file is
    /// saved
    #[command(mut_args(dev::fit))]
    Dev(Box<Dev>),
    /// Report whether a module can serve, and describe it
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Check(Box<check::Check>),
    /// Send one request to a module without a server, and print the response
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Call(Box<call::Call>),
    /// Send the requests in files to a module, and compare the responses with what
    /// is expected
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Test(Box<test::Test>),
    /// Send recorded requests again, and compare the outcomes
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Replay(Box<replay::Replay>),
}

/// Runs a tool. `develop` starts a server for a crate.
///
/// # Errors
///
/// One line: why the tool could not do its work.
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
