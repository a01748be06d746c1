//! `host config`: checks a configuration, shows it, or prints its schema.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Arg, Command, Subcommand};
use host_http::quote::quoted;
use serde_json::Value;

use crate::admin::protocol::ShownSetting;
use crate::admin::token::Token;
use crate::cli::configured;
use crate::cli::output::print;
use crate::cli::serve::{self, Serve};
use crate::config::file::{self, FileChoice};
use crate::config::schema;
use crate::config::setting::{self, Given, Place, Source};
use crate::net::listen;
use crate::site::version::{Origin, hint};

/// Longest message about a mistake, in bytes.
const MESSAGE_MAX: usize = 4096;

/// What `host config` does.
#[derive(Clone, Debug, Subcommand)]
pub enum Config {
    /// Check a configuration file without starting a server: its keys and values, the addresses,
    /// and whether the files that it names can be read
    Check {
        /// File [default: $HOST_CONFIG, or ./host.toml, or /etc/host/host.toml]
        file: Option<PathBuf>,
    },
    /// Show each setting as a server with the same flags would have it, and where it comes from. Takes
    /// all flags of the server
    #[command(mut_args(hide_flags_of_server))]
    Show(Box<Show>),
    /// Print the JSON Schema of the configuration file, by which editors complete it
    Schema,
}

/// Flags of `host config show`.
#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    /// Print a JSON array, with one object for each setting
    #[arg(long)]
    json: bool,
    /// Choice of the configuration file.
    #[command(flatten)]
    file: FileChoice,
    /// Flags of the server.
    #[command(flatten)]
    pub serve: Serve,
}

/// Hides the flags of the server, which the help of the server explains.
fn hide_flags_of_server(flag: Arg) -> Arg {
    let is_own = ["json", "config", "no_config"].contains(&flag.get_id().as_str());
    if is_own { flag } else { flag.hide(true) }
}

/// Runs the command.
///
/// # Errors
///
/// When there is no file, or one line for each mistake in it.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    match config {
        Config::Check { file } => check(file),
        Config::Show(shown) => {
            let Source { file, settings, warnings, .. } = &shown.serve.source;
            print(if shown.json { json(settings)? } else { text(file.as_ref(), settings)? });
            warnings.iter().for_each(|warning| drop(writeln!(io::stderr(), "warning: {warning}")));
            Ok(ExitCode::SUCCESS)
        }
        Config::Schema => {
            print(format!("{:#}\n", schema::schema(&serve::definition())));
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn check(file: Option<PathBuf>) -> anyhow::Result<ExitCode> {
    let choice = FileChoice { config: file, no_config: false };
    let Some(path) = choice.path(configured::named_by_environment()) else {
        bail!(
            "there is no configuration file ./host.toml or /etc/host/host.toml; name one: host config check FILE"
        );
    };
    let serve = configured::load_file(&serve::definition(), path.clone());
    let serve = serve.map_err(|mistakes| anyhow!(mistakes.join("\n")))?;
    let mistakes = mistakes(&serve, true);
    if !mistakes.is_empty() {
        bail!(mistakes.join("\n"));
    }
    print(format!("{} is valid and sets {} keys\n", path.display(), serve.source.settings.len()));
    Ok(ExitCode::SUCCESS)
}

/// Checks what the settings name: addresses, the module, files of probes. Leaves out those of
/// the command line unless `with_line` is set. Returns one line for each mistake.
pub fn mistakes(serve: &Serve, with_line: bool) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |id: &str, check: &dyn Fn() -> Result<(), String>| {
        let place = serve.source.settings.get(id).map(|setting| &setting.place);
        if let Some(place) = place.filter(|place| with_line || **place != Place::CommandLine)
            && let Err(cause) = check()
        {
            found.push(
                quoted(&format!("{place}: {}: {cause}", id.replace('_', "-")), MESSAGE_MAX).to_string(),
            );
        }
    };
    for address in &serve.listen {
        let wrong = |error| format!("found `{address}`; {error:#}");
        check("listen", &|| listen::check(address).map_err(wrong));
    }
    if let Some(address) = &serve.swap.admin {
        check("admin", &|| {
            listen::check_tcp(address).map_err(|error| format!("found `{address}`; {error:#}"))
        });
    }
    if let Some(path) = &serve.swap.admin_token {
        check("admin_token", &|| Token::new(path).map(drop).map_err(|error| format!("{error:#}")));
    }
    if let Err((id, message)) = serve.check() {
        check(id, &|| Err(message.clone()));
    }
    if let Some(path) = &serve.module {
        let read = || Origin::Path(path.clone()).read(serve.limits.swap.module_max).map_err(hint);
        check("module", &|| {
            read().map(drop).map_err(|error| format!("cannot read {}: {error}", path.display()))
        });
    }
    check("probe_file", &|| serve.swap.probes().map(drop).map_err(|error| format!("{error:#}")));
    found
}

/// Returns the settings as a configuration file, with the defaults as comments.
///
/// # Errors
///
/// When a value cannot stand in a file, because it is not UTF-8.
pub fn text(file: Option<&PathBuf>, settings: &setting::Settings) -> anyhow::Result<String> {
    let file = file.map_or("none".into(), |path| path.to_string_lossy());
    let file = quoted(&file, usize::MAX);
    let mut text = format!("# Configuration file: {file}. A line behind # is a default.\n");
    let command = serve::definition();
    for flag in setting::flags(&command) {
        let key = setting::key(flag);
        let _ = match settings.get(flag.get_id().as_str()) {
            Some(set) => writeln!(text, "{key} = {}  # {}", toml(flag, &set.given)?, set.place),
            None => match (default(&command, flag, settings), schema::help_and_default(flag).1) {
                (Some(given), _) => writeln!(text, "# {key} = {}", toml(flag, &given)?),
                (None, computed) => {
                    writeln!(text, "# {key}: {}", computed.unwrap_or_else(|| "none".into()))
                }
            },
        };
    }
    Ok(text)
}

fn json(settings: &setting::Settings) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&entries(settings))? + "\n")
}

/// Returns each setting of a server, and its place.
pub fn entries(settings: &setting::Settings) -> Vec<ShownSetting> {
    let command = serve::definition();
    let entry = |flag: &Arg| {
        let set = settings.get(flag.get_id().as_str());
        let given = set.map(|set| set.given.clone()).or_else(|| default(&command, flag, settings));
        let value = given.map_or(Value::Null, |given| value(flag, &given));
        let entry = ShownSetting { key: setting::key(flag).into(), value, ..ShownSetting::default() };
        match set.map(|set| &set.place) {
            None => ShownSetting { source: "default".into(), ..entry },
            Some(Place::CommandLine) => ShownSetting { source: "command line".into(), ..entry },
            Some(Place::Variable(name)) => {
                ShownSetting { source: "environment".into(), variable: Some(name.clone()), ..entry }
            }
            Some(Place::Line(file, line)) => {
                let file = Some(file.to_string_lossy().into_owned());
                ShownSetting { source: "file".into(), file, line: Some(*line), ..entry }
            }
        }
    };
    setting::flags(&command).map(entry).collect()
}

/// Returns the default of a flag, unless it is computed at the start, or another setting
/// takes it away.
fn default(command: &Command, flag: &Arg, settings: &setting::Settings) -> Option<Given> {
    if !flag.get_action().takes_values() {
        return Some(Given::Switch(false));
    }
    let id = flag.get_id().as_str();
    // See the definition of `probe`.
    let is_taken_away =
        setting::is_excluded(command, settings, id) || (id == "probe" && settings.contains_key("probe_file"));
    let values: Vec<_> = flag.get_default_values().iter().map(|value| value.to_os_string()).collect();
    (!values.is_empty() && !is_taken_away).then_some(Given::Values(values))
}

fn toml(flag: &Arg, given: &Given) -> anyhow::Result<String> {
    if let Given::Values(values) = given
        && let Some(value) = values.iter().find(|value| value.to_str().is_none())
    {
        let (key, value) = (setting::key(flag), value.to_string_lossy());
        bail!(
            "{key}: `{}` is not UTF-8, so it cannot stand in a configuration file",
            quoted(&value, MESSAGE_MAX)
        );
    }
    // One line each, as JSON: all escapes of JSON are escapes of TOML too.
    Ok(value(flag, given).to_string().replace('\u{7f}', "\\u007f"))
}

/// Returns a value as it stands in a file, with absolute paths.
fn value(flag: &Arg, given: &Given) -> Value {
    let base = std::env::current_dir().unwrap_or_default();
    match given {
        Given::Switch(is_on) => (*is_on).into(),
        Given::Values(values) => {
            let mut values = values.iter().map(|value| {
                let text = file::resolve(flag, value.clone(), &base).to_string_lossy().into_owned();
                let number = text.parse::<u32>().ok().filter(|number| number.to_string() == text);
                number.filter(|_| setting::takes_number(flag)).map_or_else(|| text.into(), Value::from)
            });
            if setting::repeats(flag) { values.collect() } else { values.next().unwrap_or_default() }
        }
    }
}
