//! Asks a running server, and shows its reply.

use std::process::ExitCode;

use anyhow::{Context, bail};
use host_http::quote::quoted;
use serde::de::DeserializeOwned;

use crate::admin::protocol::{ErrorReply, Status};
use crate::cli::client::{self, Ask, Server};
use crate::cli::output::{one_line, print};

/// Largest number of bytes that are shown of a reply that is not understood, and that are sent of
/// the name of a module.
pub(super) const SHOWN_MAX: usize = 1000;

/// Path in the API at which a server shows its state.
pub(super) const STATUS: &str = "/v1/status";

/// Returns at most the last `SHOWN_MAX` bytes of the name of a module, because the end of a long
/// path tells more than its beginning.
pub(super) fn end_of(name: &str) -> &str {
    name.get(name.ceil_char_boundary(name.len().saturating_sub(SHOWN_MAX))..).unwrap_or_default()
}

/// Asks a server for its state, and returns the parsed reply.
pub(super) fn status(server: &Server) -> anyhow::Result<Status> {
    get(server, STATUS)
}

/// Asks a server for the resource at `target`, and returns the parsed reply.
pub(super) fn get<R: DeserializeOwned>(server: &Server, target: &str) -> anyhow::Result<R> {
    reply(&client::ask(server, Ask::get(target))?)
}

/// Sends a request to a server, and prints the reply: as JSON with `--json`, or else the text of
/// `describe`. Returns the exit code of `describe`.
pub(super) fn show<R: DeserializeOwned>(
    server: &Server,
    ask: Ask<'_>,
    describe: impl Fn(&R) -> (String, ExitCode),
) -> anyhow::Result<ExitCode> {
    let line = client::ask(server, ask)?;
    let reply = reply(&line)?;
    let (text, code) = describe(&reply);
    let text = if server.json { line } else { text };
    print(text);
    Ok(code)
}

/// Returns the reply of a server, or the cause in it as an error if the server refused the command.
pub(super) fn unless_refused(line: String) -> anyhow::Result<String> {
    if let Ok(ErrorReply { error }) = serde_json::from_str(&line) {
        // A reload has a line for each mistake.
        let lines: Vec<_> = error.lines().map(|line| one_line(line).to_string()).collect();
        bail!("the server refused the command: {}", lines.join("\n"));
    }
    Ok(line)
}

/// Parses the reply of a server. A reply that says why the server refused the command becomes an
/// error.
fn reply<R: DeserializeOwned>(line: &str) -> anyhow::Result<R> {
    serde_json::from_str(&unless_refused(line.into())?).with_context(|| {
        let line = quoted(line.trim_end(), SHOWN_MAX);
        format!(
            "the reply is not understood; another program listens there, or another version of host: {line}"
        )
    })
}
