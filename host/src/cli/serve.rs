//! Command-line flags of the server.

use std::path::PathBuf;
use std::sync::Arc;

use clap::builder::ArgPredicate;
use clap::{Arg, Args as _, Command, ValueHint};
use host_http::forwarded::Trusted;
use tracing_subscriber::filter::Targets;

use crate::admin::token::Token;
use crate::config::acme::FOLDER;
use crate::config::limits::Limits;
use crate::config::log_lines::{LogField, LogFields, LogQuery};
use crate::config::place::Place;
use crate::config::site::{DEFAULT, Source};
use crate::config::tls::TlsFlags;
use crate::config::traceparent::Traceparent;
use crate::config::value::count;
use crate::config::values::ValueFlags;
use crate::net::address;
use crate::net::listen;
use crate::net::unix_socket::{self, Group};
use crate::record::Recording;
use crate::rollout::flags::ProofFlags;
use crate::rollout::plan_flags::RolloutFlags;
use crate::serve::settings::Settings;
use crate::site::demand::Demand;
use crate::site::notice::Notice;
use crate::source::watch;
use crate::telemetry::log::{self, Format};
use crate::telemetry::request_line;
use crate::trial::probe::Probe;
use crate::trial::request_file::read as read_requests;

/// Maximum number of serving threads: the largest number of cores that Linux supports.
const THREADS_MAX: usize = 8192;

/// Flags and argument of a server.
#[derive(Clone, Debug, clap::Args)]
pub struct Serve {
    /// Handler module: WebAssembly, binary (.wasm) or text (.wat) [default: the one embedded in
    /// this program]
    pub module: Option<PathBuf>,

    /// Address to listen on: HOST:PORT, where HOST is a name or an IP address, or unix:PATH, which
    /// ,mode=0660 and ,group=NAME may follow. localhost is 127.0.0.1 and ::1; port 0 takes any free
    /// port. With --tls-cert or --acme, TLS is spoken at each HOST:PORT, unless ,plain follows, or
    /// ,redirect, which sends clients to https. With ,proxy at the end, each connection begins with
    /// a header of the PROXY protocol, version 1 or 2, and comes from a proxy of --trust-forwarded;
    /// repeatable [default: the sockets passed in LISTEN_FDS, or localhost:4444]
    #[arg(long, value_name = "HOST:PORT|unix:PATH")]
    pub listen: Vec<String>,

    /// Proxy whose x-forwarded-for header is trusted, and whose PROXY header at addresses with
    /// ,proxy: an IP address, a network such as 10.0.0.0/8, or unix for clients of a Unix socket;
    /// repeatable [default: none]
    #[arg(long, value_name = "CIDR")]
    pub trust_forwarded: Vec<Trusted>,

    /// Whose W3C trace context is believed. Unless it is off, the handler gets one traceparent, in
    /// which the host is the parent span, and the log lines of requests name the trace
    #[arg(long, value_name = "WHOSE", value_enum, default_value_t = Traceparent::Off)]
    pub traceparent: Traceparent,

    /// Speak HTTP/2 without TLS too, to clients that begin with it (prior knowledge)
    #[arg(long)]
    pub h2c: bool,

    /// Number of threads that serve requests [default: one for each core]
    #[arg(long, value_name = "N", value_parser = count::<THREADS_MAX>)]
    pub threads: Option<usize>,

    /// Log level: off, error, warn, info, debug or trace; or levels for single log targets, such as
    /// info,request=off (targets: request, handler, host). A level for request never hides faults
    /// of the handler or the server that the general level would log
    #[arg(long, value_name = "LEVEL", default_value = "info", value_parser = log::filter)]
    pub log_level: Targets,

    /// For development: show the cause of a fault to the client, not only in the log
    #[arg(long)]
    pub dev: bool,

    /// Format of log lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Text)]
    pub log_format: Format,

    /// File to which the log is added instead of standard error; SIGUSR1 opens it again, for programs
    /// that rotate logs
    #[arg(long, value_name = "FILE")]
    pub log_file: Option<PathBuf>,

    /// Fields of the log line of each request, with commas between them. The line of a request that
    /// ended in a fault always has the id of the request, and the name and the cause of the fault,
    /// too
    #[arg(long, value_name = "FIELDS", value_enum, value_delimiter = ',', default_value = "default")]
    pub log_fields: Vec<LogField>,

    /// How much of a query is shown where the server names a request: in the log, among faults, and
    /// in the reasons and examples of a comparison
    #[arg(long, value_name = "HOW", value_enum, default_value_t = LogQuery::Keep)]
    pub log_query: LogQuery,

    /// Flags about TLS.
    #[command(flatten)]
    pub tls: TlsFlags,

    /// Flags about swapping the handler.
    #[command(flatten)]
    pub swap: Swap,

    /// Flags about the proof of candidates.
    #[command(flatten)]
    pub proof: ProofFlags,

    /// Flags about rollouts.
    #[command(flatten)]
    pub rollout: RolloutFlags,

    /// Values for the handler.
    #[command(flatten)]
    pub values: ValueFlags,

    /// Flags about recording failed requests.
    #[command(flatten)]
    pub recording: Recording,

    /// Limits of the server.
    #[command(flatten)]
    pub limits: Limits,

    /// Settings as they were given, and the place of each: command line, environment or file.
    #[arg(skip)]
    pub source: Source,

    /// Sites of the configuration file.
    #[arg(skip)]
    pub sites: Vec<SitePlan>,

    /// Rejection notice that `host dev` shows in the browser.
    #[arg(skip)]
    pub notice: Notice,
}

/// Site of a server, as the flags or the configuration file describe it.
#[derive(Clone, Debug)]
pub struct SitePlan {
    /// Name of the site.
    pub name: Arc<str>,
    /// Hosts and path whose requests the site answers.
    pub place: Place,
    /// Settings of the site. The general settings apply where the site sets none.
    pub args: Serve,
}

/// Flags about swapping the handler while the server runs.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Swapping")]
pub struct Swap {
    /// How MODULE is watched; a change of the file swaps the handler
    #[arg(long, value_name = "HOW", value_enum, default_value_t = watch::Mode::Events)]
    pub watch: watch::Mode,

    /// Do not watch MODULE
    #[arg(long, conflicts_with = "watch")]
    pub no_watch: bool,

    /// Request that a candidate must answer before it serves, and the expected status (default: any
    /// valid response below 500); repeatable
    #[arg(long, value_name = "'METHOD TARGET [STATUS]'", default_value = "GET /")]
    #[arg(default_value_if("probe_file", ArgPredicate::IsPresent, None))]
    pub probe: Vec<Probe>,

    /// File of requests that a candidate must answer as expected before it serves (`host test
    /// --help` describes the format); repeatable
    #[arg(long, value_name = "FILE")]
    pub probe_file: Vec<PathBuf>,

    /// Send no probe: a candidate only has to start before it serves
    #[arg(long, conflicts_with_all = ["probe", "probe_file"])]
    pub no_probe: bool,

    /// Folder that keeps good versions across restarts; the server starts with the version that
    /// served last
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub state_dir: Option<PathBuf>,

    /// Reject a candidate that cannot be written to the state folder, and so would not survive a
    /// restart
    #[arg(long)]
    pub require_durable: bool,

    /// Unix socket for commands such as `host swap` [default: host-PORT.sock in $XDG_RUNTIME_DIR,
    /// or in a folder of this user in the folder for temporary files]
    #[arg(long, value_name = "PATH")]
    pub control: Option<PathBuf>,

    /// Group whose members may send commands too: a name or a number. The socket should then be in a
    /// folder that they can enter (--control)
    #[arg(long, value_name = "GROUP", value_parser = unix_socket::group)]
    pub control_group: Option<Group>,

    /// Do not open a control socket
    #[arg(long, conflicts_with_all = ["control", "control_group"])]
    pub no_control: bool,

    /// Address, HOST:PORT, at which the API is served in addition to the control socket, to clients
    /// that have the token of --admin-token
    #[arg(long, value_name = "HOST:PORT")]
    pub admin: Option<String>,

    /// File with the token of clients at --admin: one line of at least 16 characters
    #[arg(long, value_name = "FILE")]
    pub admin_token: Option<PathBuf>,

    /// Do not name the version that answered in the x-handler-version header
    #[arg(long)]
    pub no_version_field: bool,
}

impl Serve {
    /// Returns the sites of the server: the default one, which the general settings describe, and
    /// those of the configuration file. Leaves out the default one if there are others and the
    /// general settings name no module.
    pub fn plans(&self) -> Vec<SitePlan> {
        let default = (self.sites.is_empty() || self.module.is_some()).then(|| SitePlan {
            name: DEFAULT.into(),
            place: Place::default(),
            args: Serve { sites: Vec::new(), ..self.clone() },
        });
        default.into_iter().chain(self.sites.iter().cloned()).collect()
    }

    /// Returns the settings of a site that a reload can change: the module file, its probes, the
    /// values of the handler, and how candidates are tested and rolled out.
    ///
    /// # Errors
    ///
    /// One line: which probe file cannot be parsed, and on which line, or which secret cannot
    /// be read.
    pub fn demand(&self) -> anyhow::Result<Demand> {
        let values = self.values.read().map_err(anyhow::Error::msg)?.into();
        Ok(Demand {
            file: self.module.clone(),
            probes: self.swap.probes()?.into(),
            values,
            proof: self.proof.proof(),
            plan: self.rollout.plan(),
            pin_from: self.rollout.pin_from(),
        })
    }

    /// Returns warnings about settings that are valid but probably a mistake: `--rollout` without
    /// `--state-dir`, `--traceparent trusted` without `--trust-forwarded`, a token file that other
    /// users can read or change, and `--hsts` without an address that speaks TLS.
    pub fn doubts(&self) -> Vec<String> {
        let rolls_out = self.plans().iter().any(|plan| !plan.args.rollout.rollout.is_off());
        let forgets = (rolls_out && self.swap.state_dir.is_none()).then(|| {
            "without a state folder (--state-dir), a restart forgets a rollout (--rollout), and serves the module \
             file to all clients as it is then"
                .into()
        });
        let believes_none = self.traceparent == Traceparent::Trusted && self.trust_forwarded.is_empty();
        let believes_none = believes_none.then(|| {
            "--traceparent trusted continues no trace without --trust-forwarded, which names the peers that it believes"
                .into()
        });
        let token = self.swap.admin_token.as_deref().and_then(Token::doubt);
        let has_no_hsts = self.tls.doubt(listen::speaks_no_tls(&self.listen));
        forgets.into_iter().chain(believes_none).chain(token).chain(has_no_hsts).collect()
    }

    /// Applies the flags for the log levels, and for the fields and queries in the log lines of
    /// requests. Returns whether the levels have changed.
    pub fn set_log(&self) -> bool {
        request_line::set(self.log_fields.iter().collect::<LogFields>(), self.log_query);
        log::set_levels(&self.log_level)
    }

    /// Returns the flags about TLS. The folder for ACME is in the state folder unless `--acme-dir`
    /// names another.
    pub fn tls(&self) -> TlsFlags {
        let mut tls = self.tls.clone();
        if tls.acme.acme_dir.is_none() && tls.acme.is_on() {
            tls.acme.acme_dir = self.swap.state_dir.as_ref().map(|folder| folder.join(FOLDER));
        }
        tls
    }

    /// Returns the settings that apply to each connection.
    pub fn settings(&self) -> Settings {
        Settings {
            limits: self.limits.connection.clone(),
            drain: self.limits.server.drain,
            trusted: self.trust_forwarded.clone(),
            traceparent: self.traceparent,
            tell_version: !self.swap.no_version_field,
            tell_cause: self.dev,
            hsts: self.tls.hsts,
            h2c: self.h2c,
            h2_over_tls: self.tls.is_on() && !self.tls.no_h2,
        }
    }

    /// Checks the flags together, which the parser of a single flag cannot do. For example, some
    /// flags need another flag.
    ///
    /// # Errors
    ///
    /// The id of the wrong flag, and a message that says what was expected.
    pub fn check(&self) -> Result<(), (&'static str, String)> {
        let needs = |id, message: &str| Err((id, format!("{message} with it (see host --help)")));
        if self.swap.require_durable && self.swap.state_dir.is_none() {
            return needs(
                "require_durable",
                "--require-durable needs a state folder; expected --state-dir DIR",
            );
        }
        self.tls.check()?;
        if !self.tls.is_on()
            && let Some(address) = self.listen.iter().find(|address| address::needs_tls(address))
        {
            return Err((
                "listen",
                format!("{address} needs a certificate; expected --tls-cert FILE or --acme DOMAIN with it"),
            ));
        }
        let wrong = listen::leads_nowhere(&self.listen)
            .or_else(|| address::lacks_trust(&self.listen, &self.trust_forwarded));
        if let Some(message) = wrong {
            return Err(("listen", message));
        }
        if self.tls.acme.is_on() && self.tls().acme.acme_dir.is_none() {
            return needs(
                "acme",
                "--acme needs a folder for its keys; expected --acme-dir DIR or --state-dir DIR",
            );
        }
        if self.swap.admin.is_some() && self.swap.admin_token.is_none() {
            return needs("admin", "--admin needs a token; expected --admin-token FILE");
        }
        if self.swap.admin_token.is_some() && self.swap.admin.is_none() {
            return needs("admin_token", "--admin-token needs an address; expected --admin HOST:PORT");
        }
        Ok(())
    }
}

impl Swap {
    /// Returns the probes that each candidate must pass before it serves.
    ///
    /// # Errors
    ///
    /// One line: which probe file cannot be parsed, and on which line.
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

/// Returns the definition of the flags of the server, without the commands.
pub fn definition() -> Command {
    Serve::augment_args(Command::new("host")).mut_args(take_negatives)
}

/// Makes a flag that takes a number accept a value that begins with a hyphen, so that the parser of
/// the flag can say what is wrong with a negative number.
pub(super) fn take_negatives(argument: Arg) -> Arg {
    let is_limit = argument.get_help_heading() == Some("Limits");
    let is_number = ["version", "if_version", "port", "threads", "timeout", "keep_recorded"];
    let takes =
        argument.get_action().takes_values() && (is_limit || is_number.contains(&argument.get_id().as_str()));
    match argument.is_positional() {
        _ if !takes => argument,
        true => argument.allow_negative_numbers(true),
        false => argument.allow_hyphen_values(true),
    }
}
