//! Definition of the command line: a command, or else the flags of a server to start.

use clap::Parser;

use crate::cli::command::Command;
use crate::cli::serve::Serve;
use crate::config::file::FileChoice;

/// An HTTP server whose behaviour is one WebAssembly module, called for each request.
#[derive(Clone, Debug, Parser)]
#[command(name = "host", version, max_term_width = 100)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    /// Command to run; [`None`] starts a server.
    #[command(subcommand)]
    pub command: Option<Command>,

    /// Choice of the configuration file.
    #[command(flatten)]
    pub file: FileChoice,

    /// Flags of the server, which starts if no command is given.
    #[command(flatten)]
    pub serve: Serve,
}
