//! Configuration of a server: the command line, the environment and the configuration file,
//! in this order of precedence.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::serve::{Serve, SitePlan};
use crate::config::environment;
use crate::config::file::{self, FileChoice, Read};
use crate::config::setting::{self, Given, Settings};
use crate::config::site::{SiteSource, Source};

/// Merges the command line, the environment and the configuration file, and parses the result.
/// `definition` defines the command line of the server. If `is_shown` is set (`host config show`),
/// an argument that ends in `.toml` is the configuration file instead of the module.
///
/// # Errors
///
/// One line for each mistake in the file or in the environment.
pub fn load(definition: &Command, matches: &ArgMatches, is_shown: bool) -> Result<Serve, Vec<String>> {
    let mut choice = FileChoice::from_arg_matches(matches).map_err(|error| vec![error.to_string()])?;
    let mut of_line = setting::of_command_line(definition, matches);
    if is_shown
        && choice.config.is_none()
        && !choice.no_config
        && let Some(Given::Values(module)) = of_line.get("module").map(|set| &set.given)
        && let Some(file) =
            module.iter().map(PathBuf::from).find(|path| path.extension() == Some("toml".as_ref()))
    {
        choice.config = Some(file);
        of_line.remove("module");
    }
    let variables = std::env::vars_os();
    let path = choice.path(named_by_environment());
    let of_file = path.as_deref().map_or_else(|| Ok(Read::default()), |path| file::read(definition, path));
    let of_environment = environment::read(definition, variables);
    let (Read { settings: of_file, sites }, (of_environment, warnings)) = match (of_file, of_environment) {
        (Ok(file), Ok(environment)) => (file, environment),
        (file, environment) => {
            return Err([file.err(), environment.err()].into_iter().flatten().flatten().collect());
        }
    };
    let keys = of_file.len();
    let settings = setting::merge(definition, [of_line, of_environment, of_file]);
    let source = Source { file: path, keys, settings, sites, warnings, line: Vec::new() };
    serve(definition, source)
}

/// Returns the path of the configuration file that `$HOST_CONFIG` names.
pub(super) fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os(environment::CONFIG).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Reads one configuration file alone, as a server without flags and environment variables would.
///
/// # Errors
///
/// One line for each mistake in the file.
pub(super) fn load_file(definition: &Command, path: PathBuf) -> Result<Serve, Vec<String>> {
    let Read { settings, sites } = file::read(definition, &path)?;
    serve(definition, Source { file: Some(path), keys: settings.len(), settings, sites, ..Source::default() })
}

/// Parses the settings of a server and of its sites. Returns one line for each mistake as the
/// error.
fn serve(definition: &Command, source: Source) -> Result<Serve, Vec<String>> {
    let mut mistakes = Vec::new();
    let mut parse = |settings: &Settings, of: &str| {
        let parsed = parse(definition, setting::command_line(definition, settings));
        parsed.map_err(|error| mistakes.push(format!("{of}{error}"))).ok()
    };
    let general = parse(&source.settings, "");
    let site = |site: &SiteSource| {
        let settings = site.merged(definition, &source.settings);
        let mut args = parse(&settings, &format!("{}: site {}: ", site.at, site.name))?;
        args.source.settings = settings;
        Some(SitePlan { name: site.name.as_str().into(), place: site.place.clone(), args })
    };
    let sites: Vec<_> = source.sites.iter().filter_map(site).collect();
    let everywhere = sites.iter().zip(&source.sites).find(|(site, _)| site.place.is_everywhere());
    if let (Some((site, SiteSource { at, .. })), Some(module)) = (everywhere, source.settings.get("module")) {
        mistakes.push(format!(
            "{at}: site {}: it has all hosts and paths, and so has the general module ({}); give the site `hosts` or a \
             `path`, or leave that module out",
            site.name, module.place
        ));
    }
    match general.filter(|_| mistakes.is_empty()) {
        Some(serve) => Ok(Serve { sites, source, ..serve }),
        None => Err(mistakes),
    }
}

fn parse(definition: &Command, line: Vec<OsString>) -> Result<Serve, clap::Error> {
    Serve::from_arg_matches(&definition.clone().try_get_matches_from(line)?)
}
