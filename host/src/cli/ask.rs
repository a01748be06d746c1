//! Asks a running server, and shows its reply.

use std::process::ExitCode;

use anyhow::{Context, bail};
use host_http::quote::quoted;
use serde::de::DeserializeOwned;

use crate::admin::protocol::{ErrorReply, Status};
use crate::cli::client::{self, Ask, Server};
use crate::cli::output::{one_line, print};

/// Most bytes of a reply that is not understood, and of the name of a module.
pub(super) const SHOWN_MAX: usize = 1000;

/// Path of the state of a server in its API.
pub(super) const STATUS: &str = "/v1/status";

/// Returns the end of the name of a module, which tells more of a long path than its begin.
pub(super) fn end_of(name: &str) -> &str {
    name.get(name.ceil_char_boundary(name.len().saturating_sub(SHOWN_MAX))..).unwrap_or_default()
}

/// Asks for the state of a server.
pub(super) fn status(server: &Server) -> anyhow::Result<Status> {
    get(server, STATUS)
}

/// Asks a server for a resource.
pub(super) fn get<R: DeserializeOwned>(server: &Server, target: &str) -> anyhow::Result<R> {
    reply(&client::ask(server, Ask::get(target))?)
}

/// Asks a server, and prints its reply.
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

/// Returns a reply unless it is an error.
pub(super) fn unless_refused(line: String) -> anyhow::Result<String> {
    if let Ok(ErrorReply { error }) = serde_json::from_str(&line) {
        // A reload has a line for each mistake.
        let lines: Vec<_> = error.lines().map(|line| one_line(line).to_string()).collect();
        bail!("the server refused the command: {}", lines.join("\n"));
    }
    Ok(line)
}

/// Parses a reply.
fn reply<R: DeserializeOwned>(line: &str) -> anyhow::Result<R> {
    serde_json::from_str(&unless_refused(line.into())?).with_context(|| {
        let line = quoted(line.trim_end(), SHOWN_MAX);
        format!(
            "the reply is not understood; another program listens there, or another version of host: {line}"
        )
    })
}
