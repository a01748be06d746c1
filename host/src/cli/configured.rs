//! Configuration of a server: the command line, the environment and the configuration file,
//! in this order of precedence.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{ArgMatches, Command, FromArgMatches};

use crate::cli::serve::Serve;
use crate::config::environment;
use crate::config::file::{self, FileChoice};
use crate::config::setting::{self, Settings, Source};

/// Adds the settings of the environment and of the configuration file to those of the command
/// line. `definition` is the command line of the server.
///
/// # Errors
///
/// One line for each mistake in the file or in the environment.
pub fn load(definition: &Command, matches: &ArgMatches) -> Result<Serve, Vec<String>> {
    let choice = FileChoice::from_arg_matches(matches).map_err(|error| vec![error.to_string()])?;
    let variables = std::env::vars_os();
    let path = choice.path(named_by_environment());
    let of_file = path.as_deref().map_or_else(|| Ok(Settings::new()), |path| file::read(definition, path));
    let of_environment = environment::read(definition, variables);
    let (of_file, (of_environment, warnings)) = match (of_file, of_environment) {
        (Ok(file), Ok(environment)) => (file, environment),
        (file, environment) => {
            return Err([file.err(), environment.err()].into_iter().flatten().flatten().collect());
        }
    };
    let of_line = setting::of_command_line(definition, matches);
    let settings = setting::merge(definition, [of_line, of_environment, of_file]);
    let line = setting::command_line(definition, &settings);
    let mut serve = parse(definition, line).map_err(|error| vec![error.to_string()])?;
    serve.source = Source { file: path, settings, warnings, line: Vec::new() };
    Ok(serve)
}

/// Returns the path of the configuration file that the environment names.
pub(super) fn named_by_environment() -> Option<PathBuf> {
    std::env::var_os(environment::CONFIG).filter(|name| !name.is_empty()).map(PathBuf::from)
}

/// Reads one configuration file alone, as a server would without flags and variables.
///
/// # Errors
///
/// As [`load`].
pub(super) fn load_file(definition: &Command, path: PathBuf) -> Result<Serve, Vec<String>> {
    let settings = file::read(definition, &path)?;
    let line = setting::command_line(definition, &settings);
    let mut serve = parse(definition, line).map_err(|error| vec![error.to_string()])?;
    serve.source = Source { file: Some(path), settings, ..Source::default() };
    Ok(serve)
}

fn parse(definition: &Command, line: Vec<OsString>) -> Result<Serve, clap::Error> {
    Serve::from_arg_matches(&definition.clone().try_get_matches_from(line)?)
}
