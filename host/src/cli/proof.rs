//! `host diff`, which compares a module with a version on recent requests, and `host journal`,
//! which shows or exports these requests.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use bytesize::ByteSize;
use clap::Subcommand;
use http::HeaderName;
use serde_json::json;

use crate::admin::proof;
use crate::admin::protocol::Status;
use crate::cli::client::{self, Ask, OfSite, Server};
use crate::cli::output::print;
use crate::cli::{ask, upload};
use crate::config::value::{showable, version_number};
use crate::files::own_file::FILE_MODE;
use crate::rollout::flags::field;
use crate::rollout::journal::{ClassSummary, Summary};
use crate::rollout::report::number::counted;
use crate::rollout::report::outcomes::Report;

/// Exit code of `host diff` when the answers differ.
const DIFFERENT: u8 = 4;

/// Commands about the proof of candidates.
#[derive(Clone, Debug, Subcommand)]
pub enum Proof {
    /// Compare a module with the current version on the recent requests of a running server.
    /// Changes nothing. Exit code 0: all answers are the same; 4: some differ; 1: none were compared
    Diff {
        /// Module: WebAssembly, binary (.wasm) or text (.wat); - is standard input
        file: PathBuf,
        /// Compare with this version [default: the current one]
        #[arg(long, value_name = "N", value_parser = version_number)]
        against: Option<u64>,
        /// Maximum number of examples that are shown for each kind of difference and each class of
        /// requests
        #[arg(long, value_name = "N", default_value = "5", value_parser = proof::examples)]
        show: u64,
        /// Header whose value may differ, besides those of the server's --ignore-field; repeatable
        #[arg(long, value_name = "NAME", value_parser = field)]
        ignore_field: Vec<HeaderName>,
        /// Longest time to run requests; requests that have not run by then are not compared
        #[arg(long, value_name = "TIME", default_value = "10s", value_parser = proof::time)]
        time: Duration,
        /// Choice of the site.
        #[command(flatten)]
        of: OfSite,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
    /// Show which recent requests a running server keeps in its journal, on which it tries
    /// candidates
    Journal {
        /// What to do instead of showing the classes of requests.
        #[command(subcommand)]
        what: Option<Journal>,
        /// Choice of the site.
        #[command(flatten)]
        of: OfSite,
        /// Flags that choose the server.
        #[command(flatten)]
        server: Server,
    },
}

/// Commands about the journal.
#[derive(Clone, Debug, Subcommand)]
pub enum Journal {
    /// Write the requests of the journal to a file for host test and --probe-file. The values of
    /// cookies, of authorization and of the site's secrets are masked
    Export {
        /// File to create; an existing one is not overwritten
        file: PathBuf,
    },
}

impl Proof {
    pub(super) fn is_json(&self) -> bool {
        match self {
            Proof::Diff { server, .. } | Proof::Journal { server, .. } => server.json,
        }
    }
}

/// Runs `host diff` or `host journal`.
///
/// # Errors
///
/// One line: why the server could not be reached or has refused the command, or why the file cannot
/// be written.
pub(super) fn run(what: Proof) -> anyhow::Result<ExitCode> {
    match what {
        Proof::Diff { file, against, show, ignore_field, time, of, server } => {
            upload::look(&file)?;
            let Status { module_max, swap_seconds, .. } = ask::status(&server)?;
            let (name, bytes) = upload::read(&file, module_max)?;
            let (show, longest) = (show.to_string(), showable(time).to_string());
            let mut parameters = vec![("name", ask::end_of(&name)), ("show", &*show), ("time", &*longest)];
            let against = against.map(|number| number.to_string());
            parameters.extend(against.as_deref().map(|number| ("against", number)));
            parameters.extend(ignore_field.iter().map(|name| ("ignore-field", name.as_str())));
            let target = of.target("/v1/diff", &parameters);
            let patience = Duration::from_secs(swap_seconds) + time;
            ask::show(&server, Ask::post(&target, None, bytes, patience), show_report)
        }
        Proof::Journal { what: None, of, server } => {
            ask::show(&server, Ask::get(&of.target("/v1/journal", &[])), show_journal)
        }
        Proof::Journal { what: Some(Journal::Export { file }), of, server } => {
            let text = client::ask(&server, Ask::get(&of.target("/v1/journal/requests", &[])))?;
            let text = ask::unless_refused(text)?;
            let requests = text.matches("\n### ").count() as u64;
            let created = OpenOptions::new().write(true).create_new(true).mode(FILE_MODE).open(&file);
            let written = created.and_then(|mut created| created.write_all(text.as_bytes()));
            written.with_context(|| format!("cannot write {}", file.display()))?;
            let text = match server.json {
                true => {
                    json!({ "outcome": "written", "requests": requests, "file": file.display().to_string() })
                        .to_string()
                }
                false => format!("wrote {} to {}", counted(requests, "request", "requests"), file.display()),
            };
            print(text + "\n");
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn show_report(report: &Report) -> (String, ExitCode) {
    if report.compared() == 0 {
        let text = format!("{report}\nnothing was compared (host journal shows what there is)\n");
        return (text, ExitCode::FAILURE);
    }
    let code = if report.is_same() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERENT) };
    (format!("{report}\n"), code)
}

fn show_journal(summary: &Summary) -> (String, ExitCode) {
    let Summary { requests, requests_max, bytes, bytes_max, skipped_large, classes, .. } = summary;
    if *requests_max == 0 {
        return ("the journal is off (--journal 0)\n".into(), ExitCode::SUCCESS);
    }
    let mut text = format!(
        "{requests} of at most {requests_max} requests, {} of {}, {}; {skipped_large} were too large\n",
        ByteSize(*bytes as u64),
        ByteSize(*bytes_max as u64),
        counted(classes.len() as u64, "class", "classes")
    );
    if !classes.is_empty() {
        text += &format!("{:>8}  {:>9}  {:<20}  class\n", "requests", "size", "newest");
    }
    for ClassSummary { class, requests, bytes, newest, .. } in classes {
        text +=
            &format!("{requests:>8}  {:>9}  {newest:<20}  {class}\n", ByteSize(*bytes as u64).to_string());
    }
    (text, ExitCode::SUCCESS)
}
