//! `host manual`: generates the manual pages. The options come from the definition of the command
//! line; the text of the other sections is in this file.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context;
use clap::{Command, ValueHint};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::cli::output::print;
use crate::rollout::report::number::counted;

/// Arguments of `host manual`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "To read the page: host manual | man -l -")]
pub struct Manual {
    /// Folder to which the pages of all commands are written, with names such as host-swap.1; it is
    /// created if it does not exist [default: print the page of the server]
    #[arg(value_hint = ValueHint::DirPath)]
    folder: Option<PathBuf>,
    /// Command line that the pages describe.
    #[arg(skip)]
    pub definition: Command,
}

/// Section of the server's manual page: its title, and pairs of a term and its meaning.
type Section = (&'static str, &'static [(&'static str, &'static str)]);

const SECTIONS: [Section; 5] = [
    (
        "EXIT STATUS",
        &[
            (
                "0",
                "The server was ended by a signal, with all requests answered or the time of --drain over.",
            ),
            ("1", "The server cannot start, or a second signal ended it at once. One line says why."),
            ("2", "The command line, the environment or the configuration file is wrong."),
            ("3", "A swap or a rollback was carried out, but the version would not survive a restart."),
        ],
    ),
    (
        "SIGNALS",
        &[
            (
                "SIGTERM, SIGINT",
                "The server answers what is in flight and ends. A second one ends it at once.",
            ),
            ("SIGHUP", "It reads the configuration file and the module file again."),
            ("SIGUSR1", "It opens the file of --log-file again."),
            ("SIGUSR2", "It lets a new process of the program take its place, as host upgrade does."),
        ],
    ),
    (
        "ENVIRONMENT",
        &[
            (
                "HOST_NAME",
                "Value of the setting NAME, for each flag of the server, such as HOST_BODY_MAX for --body-max. A \
                 flag counts before a variable, and a variable before the configuration file.",
            ),
            ("HOST_CONFIG", "Configuration file, unless --config or --no-config is given."),
            ("HOST_CONTROL", "Control socket of the server, for the commands too."),
            ("LISTEN_FDS, LISTEN_PID", "Sockets that systemd hands over."),
            ("NOTIFY_SOCKET, WATCHDOG_USEC", "Socket on which systemd hears how the server does."),
            ("NO_COLOR", "If set, the log has no colours."),
        ],
    ),
    (
        "FILES",
        &[
            ("./host.toml, /etc/host/host.toml", "Configuration file: the first one that exists."),
            (
                "$XDG_RUNTIME_DIR/host-PORT.sock",
                "Control socket, unless --control is given. Without the variable it is in a folder of the user in \
                 the folder for temporary files.",
            ),
        ],
    ),
    (
        "EXAMPLES",
        &[
            (
                "host greeter.wasm",
                "Serves a module at localhost:4444, and swaps it whenever the file changes.",
            ),
            (
                "host swap greeter.wasm",
                "Swaps the handler of the server that runs, and waits for the outcome.",
            ),
            ("host rollback", "Goes back to the version before."),
            (
                "host new greeter && host dev greeter",
                "Begins a handler, serves it, and builds it at every save.",
            ),
            ("host config check", "Checks the configuration file."),
        ],
    ),
];

/// Prints the manual page of the server, or writes the pages of all commands to a folder.
///
/// # Errors
///
/// Which file or folder cannot be written.
pub(super) fn run(manual: Manual) -> anyhow::Result<ExitCode> {
    let mut command = manual.definition.disable_help_subcommand(true);
    command.build();
    let server = title(&command).to_owned();
    let Some(folder) = manual.folder else {
        print(page(&command, &server)?);
        return Ok(ExitCode::SUCCESS);
    };
    fs::create_dir_all(&folder).with_context(|| format!("cannot create the folder {}", folder.display()))?;
    let count = write(&command, &server, &folder)?;
    print(format!("wrote {} to {}\n", counted(count, "page", "pages"), folder.display()));
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages of a command and of its subcommands. Returns the number of pages.
fn write(command: &Command, server: &str, folder: &Path) -> anyhow::Result<u64> {
    let file = folder.join(format!("{}.1", title(command)));
    fs::write(&file, page(command, server)?).with_context(|| format!("cannot write {}", file.display()))?;
    let mut count = 1;
    for subcommand in command.get_subcommands().filter(|each| !each.is_hide_set()) {
        count += write(subcommand, server, folder)?;
    }
    Ok(count)
}

/// Returns the title of the page of a command, such as `host-swap`.
fn title(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// Returns the page of a command. `server` is the title of the page of the server.
fn page(command: &Command, server: &str) -> io::Result<Vec<u8>> {
    let title = title(command);
    // Has no date: a page changes with the program, whose version it names.
    let mut page =
        format!(".TH {title} 1 \"\" \"host {}\" \"host\"\n", env!("CARGO_PKG_VERSION")).into_bytes();
    let man = Man::new(command.clone());
    man.render_name_section(&mut page)?;
    synopsis(command).to_writer(&mut page)?;
    man.render_description_section(&mut page)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    man.render_options_section(&mut page)?;
    let mut roff = Roff::new();
    if let Some(notes) = command.get_after_help() {
        roff.control("SH", ["NOTES"]);
        // Files and command lines stand there as they are written.
        roff.control("nf", []);
        for line in notes.to_string().lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    if title == server {
        SECTIONS.iter().for_each(|section| add(&mut roff, section));
    } else {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold(server), roman("(1)")]);
    }
    roff.to_writer(&mut page)?;
    Ok(page)
}

/// Returns the section with the usage lines. They do not list all flags, because the server has too
/// many.
fn synopsis(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    let usage = command.clone().render_usage().to_string();
    for (index, line) in usage.trim_start_matches("Usage: ").lines().enumerate() {
        if index > 0 {
            roff.control("br", []);
        }
        roff.text([roman(line.trim())]);
    }
    roff
}

/// Adds a section to a manual page.
fn add(roff: &mut Roff, (title, rows): &Section) {
    roff.control("SH", [*title]);
    for (term, meaning) in *rows {
        roff.control("TP", []);
        roff.text([bold(*term)]);
        roff.text([roman(*meaning)]);
    }
}
