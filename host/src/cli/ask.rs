//! Sends requests to a running server, and shows the replies.

use std::process::ExitCode;

use anyhow::{Context, bail};
use host_http::quote::quoted;
use serde::de::DeserializeOwned;

use crate::admin::protocol::{ErrorReply, Status};
use crate::cli::client::{self, Ask, Server};
use crate::cli::output::{one_line, print};

/// Maximum number of bytes that an error message shows of a malformed reply. Also the maximum
/// length of the name that is sent to the server with a module.
pub(super) const SHOWN_MAX: usize = 1000;

/// API path of the state of a server.
pub(super) const STATUS: &str = "/v1/status";

/// Returns the last [`SHOWN_MAX`] bytes of the name of a module, or the whole name if it is
/// shorter. The end of a long path tells more than its beginning.
pub(super) fn end_of(name: &str) -> &str {
    name.get(name.ceil_char_boundary(name.len().saturating_sub(SHOWN_MAX))..).unwrap_or_default()
}

/// Requests the state of a server, and returns the parsed reply.
pub(super) fn status(server: &Server) -> anyhow::Result<Status> {
    get(server, STATUS)
}

/// Requests the resource at `target` from a server, and returns the parsed reply.
pub(super) fn get<R: DeserializeOwned>(server: &Server, target: &str) -> anyhow::Result<R> {
    reply(&client::ask(server, Ask::get(target))?)
}

/// Sends a request to a server, and prints the reply: the JSON itself with `--json`, or else the
/// text that `describe` returns. Returns the exit code that `describe` returns.
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

/// Returns `line`, the reply of a server. If the reply says that the server refused the command,
/// returns the cause as an error instead.
pub(super) fn unless_refused(line: String) -> anyhow::Result<String> {
    if let Ok(ErrorReply { error }) = serde_json::from_str(&line) {
        // A reload has a line for each mistake.
        let lines: Vec<_> = error.lines().map(|line| one_line(line).to_string()).collect();
        bail!("the server refused the command: {}", lines.join("\n"));
    }
    Ok(line)
}

/// Parses the reply of a server. If the reply says that the server refused the command, returns the
/// cause as an error.
fn reply<R: DeserializeOwned>(line: &str) -> anyhow::Result<R> {
    serde_json::from_str(&unless_refused(line.into())?).with_context(|| {
        let line = quoted(line.trim_end(), SHOWN_MAX);
        format!(
            "the reply is not understood; another program listens there, or another version of host: {line}"
        )
    })
}
