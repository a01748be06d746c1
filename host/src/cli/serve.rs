//! The arguments of the server.

use std::path::PathBuf;

use clap::builder::ArgPredicate;
use host_http::forwarded::Trusted;
use tracing_subscriber::filter::Targets;

use crate::config::limits::Limits;
use crate::record::Recording;
use crate::site::notice::Notice;
use crate::source::watch;
use crate::telemetry::log;
use crate::telemetry::log::Format;
use crate::trial::probe::Probe;
use crate::trial::request_file::read as read_requests;

/// A server as it is started.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// The handler: WebAssembly, binary (.wasm) or text (.wat) [default: the one embedded in this program]
    pub module: Option<PathBuf>,

    /// Where to listen: a name or an IP address, and a port; or unix: and a path; may be repeated.
    /// localhost is 127.0.0.1 and ::1; port 0 takes any that is free [default: the sockets that
    /// were handed over in LISTEN_FDS, or localhost:4444]
    #[arg(long, value_name = "HOST:PORT|unix:PATH")]
    pub listen: Vec<String>,

    /// Whose field x-forwarded-for is believed: an IP address, a network such as 10.0.0.0/8, or
    /// unix for those who connect to a Unix socket; may be repeated [default: nobody's]
    #[arg(long, value_name = "CIDR")]
    pub trust_forwarded: Vec<Trusted>,

    /// How many threads serve [default: one for each core]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,

    /// What is logged: off, error, warn, info, debug or trace; or levels for single log targets,
    /// such as info,request=off (targets: request, handler, host). Whatever the level for request,
    /// faults of the handler or the server are logged as far as the level for all lets them
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log::filter)]
    pub log_level: Targets,

    /// For development: a fault shows its cause to the client, not to the log alone
    #[arg(long)]
    pub dev: bool,

    /// The form of a log line
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,

    /// What is done to swap the handler.
    #[command(flatten)]
    pub swap: Swap,

    /// What is kept of requests that fail.
    #[command(flatten)]
    pub recording: Recording,

    /// The bounds.
    #[command(flatten)]
    pub limits: Limits,

    /// Where `host dev` shows why the newest version does not serve.
    #[arg(skip)]
    pub notice: Notice,
}

/// How the handler is swapped while the server runs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Swapping")]
pub struct Swap {
    /// How MODULE is watched: a change of the file swaps the handler
    #[arg(long, value_name = "HOW", value_enum, default_value_t = watch::Mode::Events)]
    pub watch: watch::Mode,

    /// Do not watch MODULE
    #[arg(long, conflicts_with = "watch")]
    pub no_watch: bool,

    /// What a candidate is called with before it serves, and the status that is expected (any
    /// valid response below 500, where none is given); may be repeated
    #[arg(long, value_name = "'METHOD TARGET [STATUS]'", default_value = "GET /")]
    #[arg(default_value_if("probe_file", ArgPredicate::IsPresent, None))]
    pub probe: Vec<Probe>,

    /// A file with requests that a candidate is called with before it serves, and what is expected
    /// of its answers (`host test --help` shows the form); may be repeated
    #[arg(long, value_name = "FILE")]
    pub probe_file: Vec<PathBuf>,

    /// Call a candidate with nothing before it serves: it only has to start
    #[arg(long, conflicts_with_all = ["probe", "probe_file"])]
    pub no_probe: bool,

    /// A folder in which good versions survive a restart: the server comes back with the one that
    /// served
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,

    /// Let only a version serve that survives a restart: one that cannot be written to the state
    /// folder is rejected
    #[arg(long, requires = "state_dir")]
    pub require_durable: bool,

    /// The Unix socket that commands such as `host swap` talk to [default: host-PORT.sock in
    /// $XDG_RUNTIME_DIR, or in a folder of the user's in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// Take no commands
    #[arg(long, conflicts_with = "control")]
    pub no_control: bool,

    /// Do not tell the version that answered in the field x-handler-version
    #[arg(long)]
    pub no_version_field: bool,
}

impl Swap {
    /// Returns what each candidate is called with before it serves.
    ///
    /// # Errors
    ///
    /// One line: which file cannot be read, and where.
    pub fn probes(&self) -> anyhow::Result<Vec<Probe>> {
        if self.no_probe {
            return Ok(Vec::new());
        }
        let mut probes = self.probe.clone();
        for file in &self.probe_file {
            probes.extend(read_requests(file)?);
        }
        Ok(probes)
    }
}
