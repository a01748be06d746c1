//! How the log is set up: what is logged, in which form, and where. All of it
//! goes to standard error; standard output is for the ready line alone.

use std::io::{self, IsTerminal};
use std::str::FromStr;

use clap::ValueEnum;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people; coloured on a terminal, unless NO_COLOR is set
    Text,
    /// One JSON object a line
    Json,
}

/// Sets the log up, for the whole process and once.
pub fn init(format: Format, filter: &Targets) {
    let lines = tracing_subscriber::fmt::layer().with_writer(io::stderr);
    let registry = tracing_subscriber::registry();
    match format {
        Format::Text => {
            let colour = io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
            registry
                .with(lines.with_ansi(colour).with_filter(filter.clone()))
                .init();
        }
        Format::Json => {
            let lines = lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false);
            registry.with(lines.with_filter(filter.clone())).init();
        }
    }
}

/// Reads what is to be logged: a level, or levels for single log targets.
///
/// # Errors
///
/// When it is neither.
pub fn filter(text: &str) -> Result<Targets, String> {
    Targets::from_str(text).map_err(|_| {
        "expected off, error, warn, info, debug or trace, or a list such as info,request=off".into()
    })
}
