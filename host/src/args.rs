//! The command line.

use std::path::PathBuf;

use clap::Parser;
use tracing_subscriber::filter::Targets;

use crate::limits::Limits;
use crate::log::{self, Format};

/// An HTTP server whose behaviour is one WebAssembly module, called for each request.
#[derive(Clone, Debug, Parser)]
#[command(name = "host", version, max_term_width = 100)]
pub struct Args {
    /// The handler: WebAssembly, binary (.wasm) or text (.wat) [default: the one embedded in this program]
    pub module: Option<PathBuf>,

    /// Where to listen: a name or an IP address, and a port; may be repeated. localhost is 127.0.0.1
    /// and ::1; port 0 takes any that is free
    #[arg(long, value_name = "HOST:PORT", default_value = "localhost:4444")]
    pub listen: Vec<String>,

    /// How many threads serve [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,

    /// What is logged: off, error, warn, info, debug or trace; or levels for single log targets,
    /// such as info,request=off (targets: request, handler, host)
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log::filter)]
    pub log_level: Targets,

    /// The form of a log line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,

    /// The bounds.
    #[command(flatten)]
    pub limits: Limits,
}
