//! Commands for authors of handlers. They need no running server.

use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use tokio::runtime;
use tracing_subscriber::filter::{LevelFilter, Targets};

use crate::cli::{call, check, completion, dev, loader, manual, new, replay, test};
use crate::telemetry::log;

/// Tools that work without a running server.
#[derive(Clone, Debug, Subcommand)]
pub enum Tool {
    /// Create a crate for a handler, with the SDK, tests and request files
    New(new::New),
    /// Build and serve the crate in a folder, and do so again whenever a file is
    /// saved
    #[command(mut_args(dev::fit))]
    Dev(Box<dev::Dev>),
    /// Report whether a module can serve, and describe it
    #[command(mut_args(loader::hide_other_limits))]
    Check(Box<check::Check>),
    /// Send one request to a module without a server, and print the response
    #[command(mut_args(loader::hide_other_limits))]
    Call(Box<call::Call>),
    /// Send the requests in files to a module, and compare the responses with what
    /// is expected
    #[command(mut_args(loader::hide_other_limits))]
    Test(Box<test::Test>),
    /// Send recorded requests again, and compare the outcomes with the recorded ones
    #[command(mut_args(loader::hide_other_limits))]
    Replay(Box<replay::Replay>),
    /// Print a script by which a shell completes command lines of this program
    Completion(Box<completion::Completion>),
    /// Print the manual page, or write the pages of all commands to a folder
    Manual(Box<manual::Manual>),
}

/// Runs a tool. `develop` builds and serves a crate, for `host dev`.
///
/// # Errors
///
/// One line: why the tool could not do its work.
pub fn run(tool: Tool, develop: impl FnOnce(dev::Dev) -> anyhow::Result<()>) -> anyhow::Result<ExitCode> {
    let is_good = match tool {
        Tool::New(new) => new::run(&new).map(|()| true),
        Tool::Dev(dev) => develop(dev.quieter()).map(|()| true),
        Tool::Check(check) => finish(check::run(&check)),
        Tool::Call(call) => finish(call::run(&call)),
        Tool::Test(test) => finish(test::run(&test)),
        Tool::Replay(replay) => finish(replay::run(&replay)),
        Tool::Completion(completion) => return Ok(completion::run(*completion)),
        Tool::Manual(manual) => return manual::run(*manual),
    }?;
    Ok(if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Runs a tool, `work`, on this thread. Logs only the lines that the module writes. Returns whether
/// the module behaved as expected.
fn finish(work: impl Future<Output = anyhow::Result<bool>>) -> anyhow::Result<bool> {
    log::plain(Targets::new().with_target("handler", LevelFilter::TRACE));
    let mut runtime = runtime::Builder::new_current_thread();
    let runtime = runtime.enable_io().enable_time().build();
    runtime.context("cannot start an asynchronous runtime")?.block_on(work)
}
