//! Parses the command line. For a wrong command line, returns one line that says what was found,
//! what was expected and what to do.

use std::ffi::OsString;
use std::path::Path;

use clap::error::{ContextKind, ErrorKind};
use clap::{ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use crate::cli::args::Args;
use crate::cli::command;
use crate::cli::config::{self, Config};
use crate::cli::configured;
use crate::cli::serve::{self, Serve};
use crate::cli::tool::Tool;
use crate::config::{foreign, value_error};
use crate::net::address;

/// Maximum number of edits between a mistyped word and the command that is suggested for it.
const EDITS_MAX: usize = 2;

/// Commands that users may know from other programs. The second text of each group says what to do
/// with this program instead.
const FOREIGN: [(&[&str], &str); 14] = [
    (&["serve", "run", "start", "up"], "to serve a module, name its file: host MODULE"),
    (
        &["stop", "kill", "quit", "shutdown"],
        "to stop a server, send SIGTERM to the process that host status names",
    ),
    (&["deploy", "publish", "push", "upload"], "to swap a module in: host swap FILE"),
    (&["undo", "revert"], "to go back to the version before: host rollback"),
    (&["list", "ls", "history"], "to list versions: host versions"),
    (&["ps", "info", "ping"], "to see the state of a server: host status"),
    (&["ready", "readyz", "healthcheck"], "to ask whether a server takes requests: host health"),
    (
        &["tls", "https", "ssl", "certificate", "certificates", "certs"],
        "to speak TLS, give a server --tls-cert and --tls-key, or --acme; to see its certificates: host cert",
    ),
    (
        &["renew", "certbot", "acme"],
        "a server renews certificates by ACME itself (--acme); host reload tries at once after a failure",
    ),
    (&["man"], "to print the manual page: host manual"),
    (&["build", "compile", "watch"], "to build the crate in a folder and serve it: host dev"),
    (&["version"], "to see the version: host --version"),
    (
        &["validate", "configure", "configtest", "lint"],
        "to check a configuration file: host config check FILE",
    ),
    (&["init", "create", "generate"], "to create a crate for a handler: host new NAME"),
];

/// Commands that take the flags of a server.
const SERVERS: [&str; 3] = ["host", "host dev", "host config show"];

/// Flags of curl that `host call` does not take. The second text of each group says what to give
/// instead.
const CURL: [(&[&str], &str); 13] = [
    (&["-I", "--head"], "name the method before the target: HEAD /path"),
    (&["-A", "--user-agent"], "give the field: -H 'user-agent: NAME'"),
    (&["-e", "--referer"], "give the field: -H 'referer: URL'"),
    (&["-b", "--cookie"], "give the field: -H 'cookie: NAME=VALUE'"),
    (&["-u", "--user"], "give the field: -H 'authorization: Basic BASE64'"),
    (
        &["-F", "--form"],
        "send the finished body: -d @FILE with -H 'content-type: multipart/form-data; boundary=...'",
    ),
    (&["-G", "--get"], "write the parameters into the target: '/path?name=value'"),
    (&["-T", "--upload-file"], "send the file as the body: -X PUT --data-binary @FILE"),
    (&["-o", "--output", "-O"], "the body goes to standard output; redirect it: > FILE"),
    (&["-v", "--verbose", "-D", "--dump-header"], "print the head too: -i"),
    (&["-s", "-S", "-sS", "--silent"], "leave it out: notes go to standard error"),
    (
        &["-L", "--location", "-k", "--insecure", "-f", "--fail"],
        "leave it out: nothing is sent over a network",
    ),
    (&["-m", "--max-time"], "bound the call by --deadline TIME"),
];

/// Example command lines, for messages about missing arguments.
const EXAMPLES: [(&str, &str); 10] = [
    ("swap", "host swap handler.wasm"),
    ("diff", "host diff handler.wasm"),
    ("shadow", "host shadow handler.wasm"),
    ("rollout", "host rollout handler.wasm --steps 5%,50%"),
    ("new", "host new greeter"),
    ("check", "host check handler.wasm"),
    ("call", "host call handler.wasm GET '/path?query'"),
    ("test", "host test handler.wasm requests.http"),
    ("completion", "host completion bash"),
    ("replay", "host replay records --module handler.wasm"),
];

/// Reason to end the program after parsing, with the text to print.
#[derive(Debug)]
pub enum Stop {
    /// Help or version, which the user asked for. Goes to standard output.
    Shown(String),
    /// Lines that describe what is wrong with the command line or the configuration.
    Wrong(String),
}

/// Parses a command line, which begins with the program name. If it starts a server or shows the
/// settings of one, also loads the configuration and checks it.
///
/// # Errors
///
/// [`Stop`] contains the help or the version if the user asked for it, or else a message.
pub fn parse(line: &[OsString]) -> Result<Args, Stop> {
    let mut command = command();
    if let Some(first) = line.get(1).and_then(|word| word.to_str())
        && let Some(message) = mistaken(first, &command)
    {
        return Err(Stop::Wrong(message));
    }
    let stop = |error: Error, command: &Command| match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Shown(error.render().to_string()),
        _ => Stop::Wrong(explain(&error, line, command)),
    };
    let matches = command.try_get_matches_from_mut(line).map_err(|error| stop(error, &command))?;
    let mut args = Args::from_arg_matches(&matches).map_err(|error| stop(error, &command))?;
    match &mut args.command {
        Some(command::Command::Tool(Tool::Completion(tool))) => tool.definition = named(line),
        Some(command::Command::Tool(Tool::Manual(tool))) => tool.definition = named(line),
        Some(command::Command::Tool(Tool::Dev(dev))) => dev.name_certificate().map_err(Stop::Wrong)?,
        _ => {}
    }
    let is_shown = args.command.is_some();
    if let Some((serve, matches)) = configurable(&mut args, &matches) {
        let loaded = configured::load(&serve::definition(), matches, is_shown);
        *serve = loaded.map_err(|mistakes| Stop::Wrong(mistakes.join("\n")))?;
        serve.source.line = line.to_vec();
    }
    let served = match &args.command {
        Some(command::Command::Tool(Tool::Dev(dev))) => &dev.serve,
        _ => &args.serve,
    };
    let mistakes = match &args.command {
        None => config::mistakes(served, false),
        Some(_) => Vec::new(),
    };
    if !mistakes.is_empty() {
        return Err(Stop::Wrong(mistakes.join("\n")));
    }
    address::check_all(&served.listen).map_err(Stop::Wrong)?;
    served.check().map_err(|(_, message)| Stop::Wrong(message))?;
    // A state folder may have a version of a module whose file is gone.
    if let Some(word) = line.get(1).and_then(|word| word.to_str())
        && args.command.is_none()
        && served.swap.state_dir.is_none()
        && served.module.as_deref() == Some(Path::new(word))
        && let Some(found) = neither(word, &command)
    {
        let names = command.get_subcommands().map(Command::get_name).collect::<Vec<_>>();
        let names = names.join(", ");
        return Err(Stop::Wrong(format!(
            "{found}; expected a file, such as handler.wasm, or one of: {names}"
        )));
    }
    Ok(args)
}

/// Returns the settings of the server that a command line starts or shows, with the parsed
/// arguments for them; [`None`] for other commands.
fn configurable<'a>(args: &'a mut Args, matches: &'a ArgMatches) -> Option<(&'a mut Serve, &'a ArgMatches)> {
    match &mut args.command {
        None => Some((&mut args.serve, matches)),
        Some(command::Command::Config(Config::Show(show))) => {
            let matches = matches.subcommand_matches("config")?.subcommand_matches("show")?;
            Some((&mut show.serve, matches))
        }
        Some(_) => None,
    }
}

/// Returns the definition of the command line.
pub fn command() -> Command {
    with_negatives(Args::command())
}

/// Returns the definition of the command line under the name with which the program was called. A
/// package may have renamed the program.
fn named(line: &[OsString]) -> Command {
    let name = line.first().and_then(|path| Path::new(path).file_name()?.to_str()).unwrap_or_default();
    // The name becomes part of a script for a shell.
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    match name.chars().all(is_plain) && name.starts_with(|c: char| c.is_ascii_alphabetic()) {
        // Lives until the program ends, which is soon.
        true => command().name(&*name.to_owned().leak()),
        false => command(),
    }
}

/// Makes the numeric flags of a command and of its subcommands accept negative numbers, so that the
/// parser of the flag explains the mistake.
fn with_negatives(command: Command) -> Command {
    let command = command.mut_args(serve::take_negatives);
    let names: Vec<_> = command.get_subcommands().map(|each| each.get_name().to_owned()).collect();
    names.into_iter().fold(command, |command, name| command.mut_subcommand(name, with_negatives))
}

/// Returns a message if the first argument, `word`, is a mistyped command or a command of other
/// programs; [`None`] otherwise.
fn mistaken(word: &str, command: &Command) -> Option<String> {
    let found = neither(word, command)?;
    if let Some((_, instead)) = FOREIGN.iter().find(|(words, _)| words.contains(&word)) {
        return Some(format!("{found}; {instead}"));
    }
    let names = command.get_subcommands().map(Command::get_name).chain(["help"]);
    let near = names.map(|name| (strsim::damerau_levenshtein(name, word), name)).min()?;
    (near.0 <= EDITS_MAX).then(|| format!("{found}; did you mean: host {}", near.1))
}

/// Returns a message that `word` is neither a command nor a file. Returns [`None`] if it is a
/// command or a file, or if it looks like an option or a path.
fn neither(word: &str, command: &Command) -> Option<String> {
    let is_command = word == "help" || command.find_subcommand(word).is_some();
    let is_one = !is_word(word) || is_command || Path::new(word).exists();
    (!is_one).then(|| format!("there is no command and no file `{word}`"))
}

/// Returns whether an argument could be a command: it is not an option, and does not look like a
/// path.
fn is_word(argument: &str) -> bool {
    !argument.contains(['.', '/']) && !argument.starts_with('-')
}

/// Returns one line that says what is wrong with a command line.
fn explain(error: &Error, line: &[OsString], command: &Command) -> String {
    let (mut sub, mut of): (Option<&Command>, _) = (None, "host".to_owned());
    for word in line.iter().skip(1).map_while(|word| word.to_str()) {
        let Some(next) = sub.unwrap_or(command).find_subcommand(word) else { break };
        of = format!("{of} {}", next.get_name());
        sub = Some(next);
    }
    let text = |kind| value_error::detail(error, kind);
    let (argument, value) = (text(ContextKind::InvalidArg), text(ContextKind::InvalidValue));
    let help = format!("see {of} --help");
    let names = || {
        let of = sub.filter(|sub| sub.has_subcommands()).unwrap_or(command);
        let names = of.get_subcommands().map(Command::get_name);
        names.filter(|name| *name != "help").collect::<Vec<_>>().join(", ")
    };
    match error.kind() {
        ErrorKind::InvalidValue if value.is_empty() => {
            format!("{} has no value; expected: {argument} ({help})", name_of(&argument))
        }
        ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
            let said = value_error::describe(error, name_of(&argument)).unwrap_or_default();
            if said.contains("is refused: ") { format!("{said} ({help})") } else { said }
        }
        ErrorKind::ArgumentConflict => conflict(error, command, &argument, &help),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!("{of} lacks a command; expected one of: {} ({help})", names())
        }
        ErrorKind::InvalidSubcommand => {
            let found = text(ContextKind::InvalidSubcommand);
            format!("{of} has no command `{found}`; expected one of: {} ({help})", names())
        }
        ErrorKind::MissingRequiredArgument => {
            let example = EXAMPLES.iter().find(|(name, _)| of.strip_prefix("host ") == Some(*name));
            let example =
                example.map(|(_, line)| format!("; expected for example: {line}")).unwrap_or_default();
            format!("{of} lacks {argument}{example} ({help})")
        }
        ErrorKind::UnknownArgument => {
            let found = match argument.starts_with('-') {
                true => format!("{of} has no flag {argument}"),
                false => format!("{of} takes no further argument, and found `{argument}`"),
            };
            if argument == "--port" && (of == "host" || of == "host dev") {
                let port = port(line).unwrap_or("5000");
                return format!("{found}; give the address: --listen localhost:{port} ({help})");
            }
            let other = foreign::instead(&argument, |flag| format!("--{flag}"));
            if let Some(other) = other.filter(|_| SERVERS.contains(&&*of)) {
                return format!("{found}; {other} ({help})");
            }
            let curl = CURL.iter().find(|(flags, _)| of == "host call" && flags.contains(&argument.as_str()));
            match (curl, error.get(ContextKind::SuggestedArg)) {
                (Some((_, instead)), _) => format!("{found}; {instead} ({help})"),
                (None, Some(_)) => {
                    format!("{found}; did you mean {}? ({help})", text(ContextKind::SuggestedArg))
                }
                (None, None) => format!("{found} ({help})"),
            }
        }
        _ => {
            let rendered = error.render().to_string();
            let first = rendered.lines().next().unwrap_or_default();
            format!("{} ({help})", first.trim_start_matches("error: "))
        }
    }
}

/// Returns the port in `--port NUMBER` or `--port=NUMBER`; [`None`] if a command line has no valid
/// one.
fn port(line: &[OsString]) -> Option<&str> {
    let mut words =
        line.iter().filter_map(|word| word.to_str()).skip_while(|word| !word.starts_with("--port"));
    let value = match words.next()?.split_once('=') {
        Some((_, value)) => value,
        None => words.next()?,
    };
    value.parse::<u16>().is_ok().then_some(value)
}

fn conflict(error: &Error, command: &Command, argument: &str, help: &str) -> String {
    let prior = value_error::detail(error, ContextKind::PriorArg);
    let second = value_error::detail(error, ContextKind::InvalidSubcommand);
    if !second.is_empty() {
        return match command.find_subcommand(&second) {
            Some(_) => {
                format!("the command {second} stands behind {prior}; a command comes first: host {second}")
            }
            None => format!(
                "`{second}` is a second module, and a server has one; expected: host [OPTIONS] [MODULE] (see host --help)"
            ),
        };
    }
    match prior.is_empty() || prior == argument {
        true => format!("{} is given twice; expected once ({help})", name_of(argument)),
        false => format!(
            "{} and {} exclude each other; leave one out ({help})",
            name_of(argument),
            name_of(&prior)
        ),
    }
}

/// Returns an argument without its value: `--port` for `--port <PORT>`.
fn name_of(argument: &str) -> &str {
    let name = argument.split(' ').next().unwrap_or(argument);
    name.trim_matches(|c| "[]<>.".contains(c))
}

#[cfg(test)]
mod tests {
    use super::{Stop, command, parse};

    fn message(line: &[&str]) -> String {
        let line: Vec<_> = ["host"].iter().chain(line).map(Into::into).collect();
        match parse(&line) {
            Err(Stop::Wrong(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }

    #[test]
    fn every_message_is_one_line() {
        for line in [
            &["staus"][..],
            &["a.wasm", "b.wasm"],
            &["--body-max", "-1"],
            &["rollback", "-1"],
            &["rollback", "x"],
            &["call"],
            &["--port"],
            &["--watch", "never"],
            &["status", "--port", "1", "--control", "x"],
        ] {
            let message = message(line);
            assert!(!message.is_empty() && !message.contains('\n'), "{line:?}: {message}");
        }
    }
}
