//! The command line.

use clap::Parser;

use crate::cli::command::Command;
use crate::cli::serve::Serve;
use crate::config::file::FileChoice;

/// An HTTP server whose behaviour is one WebAssembly module, called for each request.
#[derive(Clone, Debug, Parser)]
#[command(name = "host", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// What is done instead of starting a server.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Choice of the configuration file.
    #[command(flatten)]
    pub file: FileChoice,

    /// The server to start.
    #[command(flatten)]
    pub serve: Serve,
}
