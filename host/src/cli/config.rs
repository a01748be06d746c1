//! `host config`: checks a configuration, shows it, or prints its schema.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{anyhow, bail};
use clap::{Arg, Command, Subcommand};
use host_http::quote::quoted;
use serde_json::Value;

use crate::acme::change;
use crate::admin::protocol::{SettingPlace, ShownSetting};
use crate::admin::token::Token;
use crate::cli::config_doubts;
use crate::cli::configured;
use crate::cli::output::print;
use crate::cli::serve::{self, Serve};
use crate::config::file::FileChoice;
use crate::config::schema;
use crate::config::setting::{self, Given, Place, Setting};
use crate::config::site::{SiteSource, Source};
use crate::config::toml_value;
use crate::net::address;
use crate::rollout::report::number::counted;
use crate::site::version::{Origin, hint};
use crate::tls::keeper;

/// Maximum number of bytes that the output shows of a message or a value.
const MESSAGE_MAX: usize = 4096;

/// Commands of `host config`.
#[derive(Clone, Debug, Subcommand)]
pub enum Config {
    /// Check a configuration file without starting a server: its keys and values, the addresses,
    /// and whether the files that it names can be read
    Check {
        /// Configuration file [default: $HOST_CONFIG, or ./host.toml, or /etc/host/host.toml]
        file: Option<PathBuf>,
        /// Configuration file, named by the flag that a server takes, instead of FILE
        #[arg(long, value_name = "FILE", conflicts_with = "file")]
        config: Option<PathBuf>,
    },
    /// Show each setting as a server with the same flags would have it, and where it comes from. Takes
    /// all flags of the server; an argument that ends in .toml is the configuration file
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

/// Hides a flag of the server from the help of `host config show`, because the server's own help
/// explains it.
fn hide_flags_of_server(flag: Arg) -> Arg {
    let is_own = ["json", "config", "no_config"].contains(&flag.get_id().as_str());
    if is_own { flag } else { flag.hide(true) }
}

/// Runs `host config check`, `show` or `schema`.
///
/// # Errors
///
/// There is no configuration file to check, the file has mistakes (one line for each), or a value
/// to show is not UTF-8.
pub fn run(config: Config) -> anyhow::Result<ExitCode> {
    match config {
        Config::Check { file, config } => check(file.or(config)),
        Config::Show(shown) => {
            print(if shown.json { json(&shown.serve.source)? } else { text(&shown.serve.source)? });
            tell(&shown.serve.source.warnings);
            tell(&shown.serve.doubts());
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
    let sites = match serve.source.sites.len() {
        0 => String::new(),
        count => format!(" and has {}", counted(count as u64, "site", "sites")),
    };
    let keys = counted(serve.source.keys as u64, "key", "keys");
    print(format!("{} is valid and sets {keys}{sites}\n", path.display()));
    tell(&serve.doubts());
    tell(&config_doubts::missing_folders(&serve));
    if serve.tls.is_on() {
        tell(&keeper::check(&serve.tls()).unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints warnings to standard error, one per line.
fn tell(warnings: &[String]) {
    warnings.iter().for_each(|warning| drop(writeln!(io::stderr(), "warning: {warning}")));
}

/// Checks what the settings of a server refer to: addresses, certificates, modules, probe files and
/// so on. Returns one line for each mistake. Skips settings from the command line unless
/// `with_line` is set.
pub fn mistakes(serve: &Serve, with_line: bool) -> Vec<String> {
    let found = std::cell::RefCell::new(Vec::new());
    let check_of = |settings: &setting::Settings, id: &str, check: &dyn Fn() -> Result<(), String>| {
        let place = settings.get(id).map(|setting| &setting.place);
        if let Some(place) = place.filter(|place| with_line || **place != Place::CommandLine)
            && let Err(cause) = check()
        {
            let message = format!("{place}: {}: {cause}", id.replace('_', "-"));
            found.borrow_mut().push(quoted(&message, MESSAGE_MAX).to_string());
        }
    };
    let check = |id: &str, check: &dyn Fn() -> Result<(), String>| {
        check_of(&serve.source.settings, id, check);
    };
    for address in &serve.listen {
        let wrong = |error| format!("found `{address}`; {error:#}");
        check("listen", &|| address::check(address).map_err(wrong));
    }
    if let Some(address) = config_doubts::twice(&serve.listen) {
        check("listen", &|| Err(format!("found `{address}` twice; expected each address once")));
    }
    if let Some(address) = &serve.swap.admin {
        check("admin", &|| {
            address::check_tcp(address).map_err(|error| format!("found `{address}`; {error:#}"))
        });
    }
    if let Some(path) = &serve.swap.admin_token {
        check("admin_token", &|| Token::new(path).map(drop).map_err(|error| format!("{error:#}")));
    }
    if serve.tls.is_on() && serve.tls.check().is_ok() {
        if let Err((id, error)) = keeper::check(&serve.tls()) {
            check(id, &|| Err(format!("{error:#}")));
        }
        check("acme_ca", &|| change::check_file(&serve.tls.acme).map_err(|error| format!("{error:#}")));
    }
    if let Err((id, message)) = serve.check() {
        check(id, &|| Err(message.clone()));
    }
    let check_site = |serve: &Serve, settings: &setting::Settings| {
        if let Some(path) = &serve.module {
            let read = || Origin::Path(path.clone()).read(serve.limits.swap.module_max).map_err(hint(path));
            check_of(settings, "module", &|| {
                read().map(drop).map_err(|error| format!("cannot read {}: {error}", path.display()))
            });
        }
        let probes = || serve.swap.probes().map(drop).map_err(|error| format!("{error:#}"));
        check_of(settings, "probe_file", &probes);
        let id = if settings.contains_key("secret") { "secret" } else { "var" };
        check_of(settings, id, &|| serve.values.read().map(drop));
    };
    check_site(serve, &serve.source.settings);
    for (site, source) in serve.sites.iter().zip(&serve.source.sites) {
        check_site(&site.args, &source.settings);
        let (of_site, most) = (site.args.limits.call.instances, serve.limits.call.instances);
        check_of(&source.settings, "instances", &|| match of_site > most {
            true => Err(format!("found {of_site}; expected at most the {most} of the whole server")),
            false => Ok(()),
        });
        let (of_site, most) = (site.args.limits.call.memory_max, serve.limits.call.memory_max);
        check_of(&source.settings, "memory_max", &|| match of_site > most {
            true => Err(format!("found {of_site} bytes; expected at most the {most} of the whole server")),
            false => Ok(()),
        });
    }
    found.into_inner()
}

/// Returns the settings in the format of a configuration file, with the defaults as comments.
///
/// # Errors
///
/// A value is not UTF-8, so a configuration file cannot contain it.
pub fn text(source: &Source) -> anyhow::Result<String> {
    let Source { file, settings, sites, .. } = source;
    let file = file.as_ref().map_or("none".into(), |path| path.to_string_lossy());
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
    for site in sites {
        text += &site_text(&command, site)?;
    }
    Ok(text)
}

/// Returns a site as a `[[site]]` table of a configuration file.
fn site_text(command: &Command, site: &SiteSource) -> anyhow::Result<String> {
    let SiteSource { name, settings, at, .. } = site;
    let mut text = format!("\n[[site]]  # {at}\nname = {}\n", Value::from(name.as_str()));
    for (key, value) in place(site) {
        let _ = writeln!(text, "{key} = {value}");
    }
    for (flag, Setting { given, place }) in own(command, settings) {
        let _ = writeln!(text, "{} = {}  # {place}", setting::key(flag), toml(flag, given)?);
    }
    Ok(text)
}

/// Returns the configuration keys for the hosts and the path of a site, with their values. Omits
/// keys with default values.
fn place(site: &SiteSource) -> Vec<(&'static str, Value)> {
    let place = &site.place;
    let hosts: Vec<_> = place.hosts.iter().map(ToString::to_string).collect();
    let hosts = (!hosts.is_empty()).then(|| ("hosts", hosts.into()));
    let path = (!place.path.as_str().is_empty()).then(|| ("path", place.path.as_str().into()));
    let strip = place.strip.then(|| ("strip-path", true.into()));
    [hosts, path, strip].into_iter().flatten().collect()
}

fn own<'a>(
    command: &'a Command,
    settings: &'a setting::Settings,
) -> impl Iterator<Item = (&'a Arg, &'a Setting)> {
    setting::flags(command).filter_map(|flag| Some((flag, settings.get(flag.get_id().as_str())?)))
}

fn json(source: &Source) -> anyhow::Result<String> {
    Ok(serde_json::to_string_pretty(&entries(source))? + "\n")
}

/// Returns all settings of a server, each with its value and where it was set. The list ends with
/// the hosts, the path and the own settings of each site.
pub fn entries(source: &Source) -> Vec<ShownSetting> {
    let command = serve::definition();
    let settings = &source.settings;
    let general = |flag: &Arg| {
        let set = settings.get(flag.get_id().as_str());
        let given = set.map(|set| set.given.clone()).or_else(|| default(&command, flag, settings));
        let value = given.map_or(Value::Null, |given| value(flag, &given));
        entry(setting::key(flag), value, set.map(|set| &set.place))
    };
    let of_site = |site: &SiteSource| {
        let place = place(site).into_iter().map(|(key, value)| entry(key, value, Some(&site.at)));
        let set = own(&command, &site.settings)
            .map(|(flag, set)| entry(setting::key(flag), value(flag, &set.given), Some(&set.place)));
        let name = Some(site.name.clone());
        place.chain(set).map(|entry| ShownSetting { site: name.clone(), ..entry }).collect::<Vec<_>>()
    };
    setting::flags(&command).map(general).chain(source.sites.iter().flat_map(of_site)).collect()
}

fn entry(key: &str, value: Value, place: Option<&Place>) -> ShownSetting {
    let of = |source: &str| SettingPlace { source: source.into(), ..SettingPlace::default() };
    let place = match place {
        None => of("default"),
        Some(Place::CommandLine) => of("command line"),
        Some(Place::Variable(name)) => SettingPlace { variable: Some(name.clone()), ..of("environment") },
        Some(Place::Line(file, line)) => {
            let file = Some(file.to_string_lossy().into_owned());
            SettingPlace { file, line: Some(*line), ..of("file") }
        }
    };
    ShownSetting { site: None, key: key.into(), value, place }
}

/// Returns the default of a flag; [`None`] if the flag has none, if the server computes it at its
/// start, or if another setting excludes the flag.
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

/// Converts the value of a flag to the value that a configuration file would contain, with absolute
/// paths.
fn value(flag: &Arg, given: &Given) -> Value {
    let base = std::env::current_dir().unwrap_or_default();
    match given {
        Given::Switch(is_on) => (*is_on).into(),
        Given::Values(values) => {
            let mut values = values.iter().map(|value| {
                let text = toml_value::resolve(flag, value.clone(), &base).to_string_lossy().into_owned();
                let number = text.parse::<u32>().ok().filter(|number| number.to_string() == text);
                number.filter(|_| setting::takes_number(flag)).map_or_else(|| text.into(), Value::from)
            });
            if setting::repeats(flag) { values.collect() } else { values.next().unwrap_or_default() }
        }
    }
}
