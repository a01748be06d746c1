//! Generates the reference pages for faults and for the command line from the code, in Markdown. A
//! test checks that `docs/reference` has these pages.

use std::fmt::Write as _;
use std::time::Duration;

use crate::config::place::Nowhere;
use clap::{Arg, ArgAction, Command};
use host_http::authority::BadHost;
use host_http::h1::BadMessage;
use host_http::invalid_response::InvalidResponse;
use host_http::request::BadRequest;
use host_http::target::BadTarget;
use host_wasm::{BadSpan, CallError};

use crate::config::schema::help_and_default;
use crate::config::setting;
use crate::fault::{BodyTooSlow, Fault, Whose};

/// Help heading of the flags that `docs/reference/bounds.md` describes.
const LIMITS: &str = "Limits";

/// Defines `samples` and `description` from one list of faults. The match is exhaustive, so a fault
/// that is missing in the list is a compile error.
macro_rules! rows {
    ($($fault:pat = $sample:expr => $text:literal;)+) => {
        fn samples() -> Vec<Fault> {
            vec![$($sample),+]
        }

        fn description(fault: &Fault) -> &'static str {
            match fault {
                $($fault => $text),+
            }
        }
    };
}

rows! {
    Fault::Request(BadRequest::Message(BadMessage::Malformed { .. })) = Fault::Request(BadRequest::Message(BadMessage::Malformed { what: "", section: "" }))
        => "the head, a chunk or a statement about the length breaks a rule of RFC 9112";
    Fault::Request(BadRequest::Message(BadMessage::Tls)) = Fault::Request(BadRequest::Message(BadMessage::Tls))
        => "the client begins a TLS connection, and the port speaks plain HTTP";
    Fault::Request(BadRequest::Target(BadTarget::Form | BadTarget::Authority | BadTarget::UserInformation)) = Fault::Request(BadRequest::Target(BadTarget::Form))
        => "the method does not allow this form of target, or the target names a malformed server or a user";
    Fault::Request(BadRequest::Host(_)) = Fault::Request(BadRequest::Host(BadHost::Missing))
        => "the field `host` is missing, repeated or malformed";
    Fault::Http2 = Fault::Http2
        => "a request of HTTP/2 has fields that RFC 9113 does not allow, far more of them than `--head-max`, or is one more than `--h2-streams`; its stream is reset, or gets 431, so this status reaches no client";
    Fault::BodyUnreadable(_) = Fault::BodyUnreadable(String::new())
        => "the body broke off";
    Fault::ClientGone = Fault::ClientGone
        => "the client reset the connection before its answer, so this status reaches no client";
    Fault::Request(BadRequest::Message(BadMessage::HeadTooSlow)) = Fault::Request(BadRequest::Message(BadMessage::HeadTooSlow))
        => "the head did not arrive in time (`--head-timeout`)";
    Fault::BodyTooSlow(_) = Fault::BodyTooSlow(BodyTooSlow::Piece)
        => "the body stopped or came too slowly (`--body-timeout`, `--body-rate-min`, `--body-time-max`)";
    Fault::Request(BadRequest::Message(BadMessage::GaveWay)) = Fault::Request(BadRequest::Message(BadMessage::GaveWay))
        => "the connection was closed for a new one before its request was complete (`--connections`)";
    Fault::Request(BadRequest::Message(BadMessage::BodyTooLong { .. })) = Fault::Request(BadRequest::Message(BadMessage::BodyTooLong { limit: 0 }))
        => "a chunk states a size that takes the body past its limit (`--body-max`)";
    Fault::BodyTooLong { .. } = Fault::BodyTooLong { limit: 0 }
        => "the body is past its limit (`--body-max`)";
    Fault::Call(CallError::NoRoom { .. }) = Fault::Call(CallError::NoRoom { length: 0 })
        => "`alloc` returned 0: the module has no room for the request";
    Fault::Request(BadRequest::Message(BadMessage::MethodUnknown { .. })) = Fault::Request(BadRequest::Message(BadMessage::MethodUnknown { limit: 0 }))
        => "the method is longer than any that a handler could know";
    Fault::Request(BadRequest::Message(BadMessage::TargetTooLong { .. })) = Fault::Request(BadRequest::Message(BadMessage::TargetTooLong { limit: 0 }))
        => "the target is past its limit (`--target-max`)";
    Fault::Request(BadRequest::ExpectationUnknown) = Fault::Request(BadRequest::ExpectationUnknown)
        => "the field `expect` asks for something other than `100-continue`";
    Fault::Request(BadRequest::Target(BadTarget::Scheme)) = Fault::Request(BadRequest::Target(BadTarget::Scheme))
        => "the target is a URL whose scheme is not `http`, or over TLS not `https`";
    Fault::Request(BadRequest::Message(BadMessage::HeadTooLong { .. })) = Fault::Request(BadRequest::Message(BadMessage::HeadTooLong { limit: 0 }))
        => "the head is past its limit (`--head-max`)";
    Fault::Request(BadRequest::Message(BadMessage::TooManyFields { .. })) = Fault::Request(BadRequest::Message(BadMessage::TooManyFields { limit: 0 }))
        => "the head has too many fields (`--fields-max`)";
    Fault::Request(BadRequest::Message(BadMessage::TooManyOptions { .. })) = Fault::Request(BadRequest::Message(BadMessage::TooManyOptions { limit: 0 }))
        => "the field `connection` lists more than 64 options";
    Fault::NoSite(Nowhere::Path) = Fault::NoSite(Nowhere::Path)
        => "the host has sites, but none for the path (`path` of `[[site]]`)";
    Fault::NoSite(Nowhere::Host) = Fault::NoSite(Nowhere::Host)
        => "no site has the host (`hosts` of `[[site]]`)";
    Fault::Call(CallError::Trap { .. }) = Fault::Call(trap())
        => "the handler trapped or panicked";
    Fault::NotServed { .. } = Fault::NotServed { cause: "".into() }
        => "`host dev`: the newest build does not serve";
    Fault::Request(BadRequest::Message(BadMessage::Coding)) = Fault::Request(BadRequest::Message(BadMessage::Coding))
        => "the `transfer-encoding` is not `chunked`";
    Fault::Call(CallError::BadSpan { .. }) = Fault::Call(bad_span())
        => "`alloc` or `handle` returned an address outside the module's memory";
    Fault::Call(CallError::NoResponse) = Fault::Call(CallError::NoResponse)
        => "the component ended without a response";
    Fault::Call(CallError::ErrorCode { .. }) = Fault::Call(CallError::ErrorCode { code: String::new() })
        => "the component answered with an error code of `wasi:http`";
    Fault::Call(CallError::Unfinished { .. }) = Fault::Call(CallError::Unfinished { written: 0 })
        => "the component gave up the body of its response, which it has to finish";
    Fault::Call(CallError::BodyLength { .. }) = Fault::Call(CallError::BodyLength { stated: 0, written: 0 })
        => "the component wrote a body of another length than it has stated";
    Fault::Call(CallError::Unreadable) = Fault::Call(CallError::Unreadable)
        => "the message is not one that the host encodes, as a recorded one may be, so no component can get it";
    Fault::Call(CallError::ResponseTooLong { .. } | CallError::ResponseGrewTooLong { .. }) = Fault::Call(CallError::ResponseTooLong { length: 0, limit: 0 })
        => "the response is past its limit (`--response-max`)";
    Fault::Response(_) = Fault::Response(InvalidResponse::Empty)
        => "the handler's bytes are not a valid response, or their head is past its limit (`--response-head-max`)";
    Fault::NoBuffer { .. } = Fault::NoBuffer { limit: 0 }
        => "all bodies together hold too much memory (`--buffer-max`)";
    Fault::Call(CallError::Busy { .. } | CallError::CandidatesBusy { .. }) = Fault::Call(CallError::Busy { calls: 0, queue: 0 })
        => "no instance came free in time, or the queue is full (`--instances`, `--queue`, `--queue-timeout`)";
    Fault::Call(CallError::NoInstance { .. }) = Fault::Call(CallError::NoInstance { cause: String::new() })
        => "the system gave no memory for another instance";
    Fault::Call(CallError::Deadline { .. }) = Fault::Call(CallError::Deadline { limit: Duration::ZERO, frames: Vec::new() })
        => "the call passed its deadline (`--deadline`)";
    Fault::Request(BadRequest::Message(BadMessage::Version)) = Fault::Request(BadRequest::Message(BadMessage::Version))
        => "the version is neither HTTP/1.1 nor HTTP/1.0";
}

fn trap() -> CallError {
    CallError::Trap { trap: String::new(), panic: None, frames: Vec::new() }
}

fn bad_span() -> CallError {
    CallError::BadSpan { export: "", cause: BadSpan { address: 0, length: 0, memory: 0 } }
}

/// Returns the reference page of all faults in Markdown, sorted by status.
pub fn faults() -> String {
    let mut text = String::from(
        "# Faults\n\n\
         The host answers a request itself in these cases only. The client gets the status and an id; the log has the\n\
         cause under the same id. `host --dev` shows the cause to the client as well. `host status` counts faults by name.\n\n\
         - *Closed* means that the host closes the connection after the response, because the rest of the message may\n  \
           not have been read.\n\
         - Every 503 has `retry-after: 1`.\n\
         - The log level follows who can fix the fault: INFO for the client, ERROR for the handler, WARN for the\n  \
           operator.\n\n\
         This page is generated from the code; `UPDATE_DOCS=1 cargo test --test tests repository` writes it.\n\n\
         | status | name | what happened | who can fix it | connection |\n\
         | --- | --- | --- | --- | --- |\n",
    );
    let mut faults = samples();
    faults.sort_by_key(|fault| fault.entry().status);
    for fault in faults {
        let (entry, text_of) = (fault.entry(), description(&fault));
        let whose = match entry.whose {
            Whose::Client => "client",
            Whose::Handler => "handler",
            Whose::Operator => "operator",
        };
        let closes = fault.leaves_unread();
        let connection = if closes { "closed" } else { "kept" };
        let (status, name) = (entry.status.as_u16(), entry.name);
        let _ = writeln!(text, "| {status} | {name} | {text_of} | {whose} | {connection} |");
    }
    text
}

/// Returns the reference page of the command line in Markdown: first the server, then each command.
/// `live` has the clap ids of the flags that a reload changes.
pub fn cli(command: Command, live: &[&str]) -> String {
    // By default clap wraps the text to the width of this terminal.
    let mut command = command.term_width(usize::MAX);
    command.build();
    let mut text = String::from(
        "# Command line\n\n\
         Each flag of the server may also stand in the configuration file or in the environment
\
         ([Operating](../operating.md#configuration)). Flags under *Limits* are explained in [Bounds](bounds.md). `-h` prints a summary of this text, `--help` all of\n\
         it, and `--version` the version.\n\n\
         Exit codes of the server: 0 after SIGTERM or SIGINT, 1 when it cannot start or was ended at once, 2 for a wrong\n\
         command line or configuration. Exit codes of `swap` and `rollback`: 0 when the version serves, 1 when it does not, 3 when it\n\
         serves and would not survive a restart.\n\n\
         A command to a server prints one JSON value on standard output with `--json`: the reply of the server, or\n\
         `{\"outcome\":\"failed\",\"cause\":\"...\"}` when there is no reply (no server, no file, no time) or the reply is an error.\n\
         The exit code is then 1, and standard error has the same cause as text. Only a wrong command line (2) prints\n\
         nothing there.\n\n\
         This page is generated from the code; `UPDATE_DOCS=1 cargo test --test tests repository` writes it.\n",
    );
    command_section(&mut text, &mut command);
    let flags = setting::flags(&command).filter(|flag| live.contains(&flag.get_id().as_str()));
    let flags: Vec<_> = flags.map(flag_name).collect();
    let _ = write!(text, "\n*Changed by a reload of the configuration*: {}.\n", flags.join(", "));
    for name in names(&command) {
        if let Some(subcommand) = command.find_subcommand_mut(&name) {
            command_section(&mut text, subcommand);
            for nested in names(subcommand) {
                if let Some(nested) = subcommand.find_subcommand_mut(&nested) {
                    command_section(&mut text, nested);
                }
            }
        }
    }
    text
}

fn names(command: &Command) -> Vec<String> {
    command
        .get_subcommands()
        .filter(|each| each.get_name() != "help")
        .map(|subcommand| subcommand.get_name().to_owned())
        .collect()
}

fn command_section(text: &mut String, command: &mut Command) {
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").replace("\n       ", "\n");
    let name = command.get_bin_name().unwrap_or_else(|| command.get_name());
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let _ = write!(text, "\n## `{name}`\n\n{about}.\n\n```text\n{usage}\n```\n");

    let is_general = |arg: &Arg| {
        matches!(
            arg.get_action(),
            ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
        )
    };
    let shown = |arg: &&Arg| !arg.is_hide_set() && !is_general(arg);
    let arguments: Vec<&Arg> = command.get_arguments().filter(shown).collect();
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in &arguments {
        let heading = heading(argument);
        if !headings.contains(&heading) {
            headings.push(heading);
        }
    }
    headings.sort_by_key(|heading| (*heading == Some(LIMITS), heading.is_some()));
    for wanted in headings {
        let rows = arguments.iter().filter(|argument| heading(argument) == wanted);
        if wanted == Some(LIMITS) {
            let flags: Vec<String> = rows.map(|flag| flag_name(flag)).collect();
            let _ = write!(text, "\n*Limits*: {}.\n", flags.join(", "));
            continue;
        }
        if let Some(heading) = wanted {
            let _ = write!(text, "\n*{heading}*\n");
        }
        text.push_str("\n| argument | default | meaning |\n| --- | --- | --- |\n");
        rows.for_each(|argument| row(text, argument));
    }
    if let Some(after) = command.get_after_long_help().or_else(|| command.get_after_help()) {
        let _ = write!(text, "\n```text\n{}\n```\n", after.to_string().trim_end());
    }
}

fn heading(argument: &Arg) -> Option<&str> {
    argument.get_help_heading().filter(|heading| !["Options", "Arguments"].contains(heading))
}

/// Returns the name of a flag as it is typed, or the name of a positional argument.
fn flag_name(argument: &Arg) -> String {
    match (argument.get_short(), argument.get_long()) {
        (Some(short), Some(long)) => format!("`-{short}`, `--{long}`"),
        (None, Some(long)) => format!("`--{long}`"),
        (Some(short), None) => format!("`-{short}`"),
        (None, None) => format!("`{argument}`"),
    }
}

fn row(text: &mut String, argument: &Arg) {
    let takes_value = argument.get_action().takes_values() && !argument.is_positional();
    let value = argument.get_value_names().filter(|_| takes_value).and_then(|names| names.first());
    let value = value.map(|value| format!(" `{}`", cell(value))).unwrap_or_default();
    let (help, computed) = help_and_default(argument);
    let computed = computed.unwrap_or_default();
    let defaults: Vec<_> = argument.get_default_values().iter().filter_map(|value| value.to_str()).collect();
    let default = match defaults.join(" ") {
        _ if !takes_value && !argument.is_positional() => String::new(),
        default if default.is_empty() => cell(&computed),
        default => format!("`{default}`"),
    };
    let possible = argument.get_possible_values();
    let mut meaning = cell(&help);
    if takes_value && !possible.is_empty() {
        let values = possible.iter().map(|value| match value.get_help() {
            Some(help) => format!("`{}` ({help})", value.get_name()),
            None => format!("`{}`", value.get_name()),
        });
        let _ = write!(meaning, ": {}", cell(&values.collect::<Vec<_>>().join(", ")));
    }
    let default = if default.is_empty() { default } else { format!(" {default}") };
    let _ = writeln!(text, "| {}{value} |{default} | {meaning} |", cell(&flag_name(argument)));
}

/// Returns a text as a cell of a Markdown table: one line, with `|` escaped.
fn cell(text: &str) -> String {
    text.replace('\n', " ").replace('|', "\\|")
}
