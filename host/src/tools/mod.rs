//! Commands for those who write a handler. They need no running server.
//!
//! | file | question |
//! | --- | --- |
//! | `check` | may this module serve, and what is to be known of it? |
//! | `call` | what does a module answer? |
//! | `test` | does it answer what is expected? |
//! | `remedy` | what is to be done about a module that may not? |
//! | `bench` | how is a module called without a server? |

mod bench;
mod call;
mod check;
mod remedy;
mod test;

use std::process::ExitCode;

use clap::Subcommand;

/// What is done with a module that does not serve.
#[derive(Clone, Debug, Subcommand)]
pub enum Tool {
    /// Say whether a module can serve, and if not, why; and what is to be known of it
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Check(Box<check::Check>),
    /// Send one request to a module, without a server, and show its answer
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Call(Box<call::Call>),
    /// Send the requests of files to a module, and compare its answers with what is expected there
    #[command(mut_args(bench::hide_what_is_of_no_use))]
    Test(Box<test::Test>),
}

/// Runs a tool.
///
/// # Errors
///
/// One line: why there is nothing to tell.
pub fn run(tool: Tool) -> anyhow::Result<ExitCode> {
    match tool {
        Tool::Check(check) => check::run(&check),
        Tool::Call(call) => call::run(&call),
        Tool::Test(test) => test::run(&test),
    }
}
