//! The reference of all bounds, which is made from the flags and from what no
//! flag changes.

use std::fmt::{self, Write as _};
use std::time::Duration;

use ::host_wasm as wasm;
use bytesize::ByteSize;
use clap::Command;
use host_http::hop_by_hop::OPTIONS_MAX;
use host_http::response_head;
use host_http::wire::{DIGITS_MAX, EXTRA_MAX};

use crate::admin::listener as commands;
use crate::admin::protocol::LINE_MAX;
use crate::files::private_folder;
use crate::net::{listen, socket};
use crate::record;
use crate::serve::buffers::UNCOUNTED;
use crate::serve::connection;
use crate::site::state_dir;
use crate::source::watch;
use crate::telemetry::log;

/// A bound that no flag changes.
#[derive(Clone, Copy, Debug)]
pub struct Fixed {
    /// What is bounded.
    pub what: &'static str,
    /// How much there may be of it.
    pub most: Most,
    /// What happens past it.
    pub past: &'static str,
}

/// An amount with its unit.
#[derive(Clone, Copy, Debug)]
pub enum Most {
    /// A number of things.
    Count(u64),
    /// A number of bytes.
    Bytes(u64),
    /// A time.
    Time(Duration),
}

const fn count(what: &'static str, most: u64, past: &'static str) -> Fixed {
    Fixed { what, most: Most::Count(most), past }
}

const fn bytes(what: &'static str, most: usize, past: &'static str) -> Fixed {
    Fixed { what, most: Most::Bytes(most as u64), past }
}

const fn time(what: &'static str, most: Duration, past: &'static str) -> Fixed {
    Fixed { what, most: Most::Time(most), past }
}

impl fmt::Display for Most {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Most::Count(count) => write!(f, "{count}"),
            Most::Bytes(bytes) if bytes < 1024 => write!(f, "{bytes} B"),
            Most::Bytes(bytes) => write!(f, "{}", ByteSize(bytes)),
            Most::Time(time) => write!(f, "{}", humantime::format_duration(time)),
        }
    }
}

const CONNECTIONS: &[Fixed] = &[
    count(
        "Connections of one listener that wait to be accepted, or `net.core.somaxconn` where that is less",
        listen::BACKLOG as u64,
        "the client's kernel tries again",
    ),
    bytes("Bytes of a body that are read at once", connection::READ_MAX, "they are read in pieces"),
    bytes(
        "Bytes of a connection that the kernel keeps to be sent",
        socket::UNSENT_MAX as usize,
        "writing waits (`--write-timeout`, `--write-rate-min`)",
    ),
    time("Time to drain a connection after its last response", connection::LINGER, "it is closed"),
    bytes("Bytes that are drained then", connection::LINGER_MAX, "it is closed"),
];

const MESSAGES: &[Fixed] = &[
    count("Options in `connection`, of a request", OPTIONS_MAX as u64, "431"),
    count("Options in `connection`, of a response", OPTIONS_MAX as u64, "502"),
    count("Fields of a response", response_head::FIELDS_MAX as u64, "502"),
    count("Digits in the size of a chunk", DIGITS_MAX as u64, "400"),
    bytes("Extensions and trailers of the chunks of a body", EXTRA_MAX, "400"),
    bytes("Body that does not count towards `--buffer-max`", UNCOUNTED, "it counts"),
];

const NOT_SERVED: &str = "the module is not served";

const MODULES: &[Fixed] = &[
    count("Functions", wasm::fixed::FUNCTIONS_MAX, NOT_SERVED),
    count("Locals in all functions", wasm::fixed::LOCALS_MAX, NOT_SERVED),
    count("Blocks inside each other", wasm::fixed::NESTING_MAX, NOT_SERVED),
    count("Block parameters in a function", wasm::fixed::BLOCK_PARAMETERS_MAX, NOT_SERVED),
    count("Targets of branch tables", wasm::fixed::BRANCH_TARGETS_MAX, NOT_SERVED),
    count("Types", wasm::fixed::TYPES_MAX, NOT_SERVED),
    count("Imports", wasm::fixed::IMPORTS_MAX, NOT_SERVED),
    count("Exports", wasm::fixed::EXPORTS_MAX, NOT_SERVED),
    count("Globals", wasm::fixed::GLOBALS_MAX, NOT_SERVED),
    count("Globals that can change", wasm::fixed::CHANGING_GLOBALS_MAX as u64, NOT_SERVED),
    count("Tables", wasm::fixed::TABLES_MAX as u64, NOT_SERVED),
    count("Data segments", wasm::fixed::DATA_SEGMENTS_MAX, NOT_SERVED),
    count("Elements in segments", wasm::fixed::ELEMENTS_MAX, NOT_SERVED),
    count("Elements in segments that are expressions", wasm::fixed::ELEMENT_EXPRESSIONS_MAX, NOT_SERVED),
    bytes("Native stack of a call", wasm::fixed::STACK_MAX, "the call traps"),
    count("Frames of a trap that are told", wasm::fixed::FRAMES_MAX as u64, "the outer ones are left out"),
    bytes("Name of a function in a message", wasm::fixed::FRAME_MAX, "it is cut"),
    bytes("Message about a module", wasm::fixed::MESSAGE_MAX, "it is cut"),
];

const COMMANDS: &[Fixed] = &[
    count("Commands that are answered at once", commands::CONNECTIONS_MAX as u64, "they wait"),
    count("Modules that are received or prepared at once", commands::UPLOADS_MAX as u64, "they wait"),
    time("Time in which a command has to come in", commands::REQUEST_TIMEOUT, "it is refused"),
    bytes("Line of a command", LINE_MAX, "it is refused"),
    bytes(
        "Record of the versions in the state folder",
        state_dir::STATE_MAX,
        "a version is not kept (`--keep`)",
    ),
    bytes(
        "Name of where a version came from, in that record",
        state_dir::ORIGIN_MAX,
        "the version is left out",
    ),
    count("Files in a folder of the server's", private_folder::ENTRIES_MAX as u64, "the folder is not used"),
    time(
        "Time for which a file that is written all the time is not read",
        watch::QUIET_WAIT_MAX,
        "it is read",
    ),
    count("Symbolic links on the path of a file", watch::SYMLINKS_MAX as u64, "those behind are not watched"),
];

const LOG: &[Fixed] = &[
    bytes("Log lines that wait to be written", log::WAITING_MAX, "lines are lost, and counted"),
    time("Time to write those that are left at the end", log::FLUSH, "they are lost"),
    count("Requests that wait to be recorded", record::QUEUE as u64, "they are not recorded"),
    time("Time to write those that are left at the end", record::FLUSH, "they are lost"),
];

/// What no flag changes, by what it is about.
pub const FIXED: [(&str, &[Fixed]); 5] = [
    ("Connections", CONNECTIONS),
    ("Messages", MESSAGES),
    ("Modules", MODULES),
    ("Commands and files", COMMANDS),
    ("Log and recordings", LOG),
];

/// Returns the reference of all bounds, in Markdown: first the flags of the
/// command, then the fixed ones.
pub fn reference(command: &Command) -> String {
    let mut text = String::from(
        "# Bounds\n\n\
         All bounds of the server. [Operating](../operating.md) explains those that belong together.\n\n\
         SIZE is a number of bytes, or has a unit: KiB, MiB or GiB. TIME has a unit: ms, s, min or h. N is a count. SWITCH\n\
         is on or off.\n\n\
         This page is generated from the code (`host/src/config/limits.rs`, `host/src/bounds.rs`);\n\
         `UPDATE_DOCS=1 cargo test --test tests repository` writes it.\n\n\
         ## Flags\n\n\
         | flag | unit | default | what is bounded | past it |\n| --- | --- | --- | --- | --- |\n",
    );
    text.push_str(&flags(command));
    for (about, bounds) in FIXED {
        let _ = write!(
            text,
            "\n## {about}, not to be changed\n\n| what is bounded | most | past it |\n| --- | --- | --- |\n"
        );
        for Fixed { what, most, past } in bounds {
            let _ = writeln!(text, "| {what} | {most} | {past} |");
        }
    }
    text
}

/// Returns the rows of the flags that bound something.
pub fn flags(command: &Command) -> String {
    let limits = command.get_arguments().filter(|flag| flag.get_help_heading() == Some("Limits"));
    let row = |flag: &clap::Arg| {
        let help = flag.get_help()?.to_string();
        let (what, past) = help.split_once("; ")?;
        let (name, unit) = (flag.get_long()?, flag.get_value_names()?.first()?);
        let default = flag.get_default_values().first()?.to_str()?;
        let past = past.trim_start_matches("past it ");
        Some(format!("| `--{name}` | {unit} | {default} | {what} | {past} |\n"))
    };
    limits.map(|flag| row(flag).unwrap_or_else(|| format!("| {} | | | | |\n", flag.get_id()))).collect()
}

#[cfg(test)]
mod tests {
    use super::{Most, bytes};
    use std::time::Duration;

    #[test]
    fn amounts_are_shown_with_their_unit() {
        let shown = |most: Most| most.to_string();
        assert_eq!(shown(Most::Count(64)), "64");
        assert_eq!(shown(Most::Bytes(500)), "500 B");
        assert_eq!(shown(bytes("", 128 << 10, "").most), "128.0 KiB");
        assert_eq!(shown(Most::Time(Duration::from_millis(2000))), "2s");
    }
}
