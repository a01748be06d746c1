//! `host call`: sends one request to a module without a server.

use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use anyhow::Error;
use bytes::Bytes;
use bytesize::ByteSize;
use host_wasm::{CallError, Usage};
use http::Request;

use crate::cli::body::Body;
use crate::cli::facts::FactFlags;
use crate::cli::loader::Loader;
use crate::cli::output::one_line;
use crate::config::limits::Limits;
use crate::config::values::ValueFlags;
use crate::fault::Fault;
use crate::seed::{self, Seed};
use crate::trial::exchange::{self, Answer};

/// Arguments of `host call`.
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "The body of the response goes to standard output unchanged, and the head (--include) with \
                  control characters escaped. Time and memory of the call, log lines of the module, \
                  and the cause of a fault go to standard error.\n\n\
                  Exit code: 0 when the handler answers with a status below 500 (404 is an answer), 1 when it \
                  answers with another status or a fault occurs.",
    allow_missing_positional = true
)]
pub struct Call {
    /// Module: WebAssembly, binary (.wasm) or text (.wat)
    module: PathBuf,
    /// Method of the request [default: GET, or POST with a body]
    method: Option<String>,
    /// Target of the request: a path with its query, or a URL
    target: String,
    /// Header of the request; repeatable
    #[arg(short = 'H', long = "header", value_name = "'NAME: VALUE'")]
    fields: Vec<String>,
    /// Method of the request, by the flag that curl takes, instead of METHOD
    #[arg(short = 'X', long = "request", value_name = "METHOD", conflicts_with = "method")]
    method_flag: Option<String>,
    /// Body of the request.
    #[command(flatten)]
    body: Body,
    /// What a server would add to the request.
    #[command(flatten)]
    facts: FactFlags,
    /// Seed of the random bits that the module draws, in 64 hexadecimal digits [default:
    /// random]
    #[arg(long, value_name = "HEX", value_parser = seed::parse)]
    seed: Option<[u8; 32]>,
    /// Print the head of the response too, with control characters escaped
    #[arg(short, long)]
    include: bool,
    /// Values for the module.
    #[command(flatten)]
    values: ValueFlags,
    /// Limits of the call.
    #[command(flatten)]
    limits: Limits,
}

pub(super) async fn run(call: &Call) -> anyhow::Result<bool> {
    let request = call.request()?;
    let loader = Loader::new(&call.limits, &call.values)?;
    let module = loader.load(&call.module).await?;
    let (answer, usage) = exchange::send_with(&request, &call.facts.facts(), &module).await;
    let (is_good, outcome) = match &answer {
        Ok(answer) => {
            // A closed reader is no failure, as in `output::print`.
            let _ = show(answer, call.include);
            let (status, length) = (answer.status_text(), answer.body.len());
            (answer.status.as_u16() < 500, format!("answered {} with {length} bytes\n", one_line(&status)))
        }
        Err(fault) => (false, explain(fault)),
    };
    let _ = write!(io::stderr(), "{outcome}{}{}", doubt(request.method().as_str()), describe(&usage));
    Ok(is_good)
}

impl Call {
    fn request(&self) -> anyhow::Result<Request<Bytes>> {
        let by_default = if self.body.is_given() { "POST" } else { "GET" };
        let method = self.method.as_deref().or(self.method_flag.as_deref()).unwrap_or(by_default);
        let mut request = exchange::request(method, &self.target).map_err(Error::msg)?;
        for field in &self.fields {
            exchange::add_field(&mut request, field).map_err(Error::msg)?;
        }
        self.body.add_to(&mut request)?;
        if let Some(seed) = self.seed {
            request.extensions_mut().insert(Seed(seed));
        }
        Ok(request)
    }
}

fn show(answer: &Answer, head: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if head {
        write!(output, "HTTP/1.1 {}\r\n", one_line(&answer.status_text()))?;
        for (name, value) in &answer.fields {
            write!(output, "{name}: {}\r\n", one_line(&String::from_utf8_lossy(value.as_bytes())))?;
        }
        output.write_all(b"\r\n")?;
    }
    output.write_all(&answer.body)?;
    // On a terminal, the next output begins on its own line.
    if output.is_terminal() && !answer.body.ends_with(b"\n") {
        output.write_all(b"\n")?;
    }
    output.flush()
}

/// Returns the lines that describe a fault: the panic message if there is one, the name and the
/// cause of the fault, and the stack frames at the trap or the deadline.
fn explain(fault: &Fault) -> String {
    let (cause, panic, frames) = match fault {
        Fault::Call(CallError::Trap { trap, panic, frames }) => (trap.clone(), panic.as_ref(), &frames[..]),
        Fault::Call(CallError::Deadline { limit, frames }) => {
            let late = CallError::Deadline { limit: *limit, frames: Vec::new() };
            (late.to_string(), None, &frames[..])
        }
        fault => (fault.to_string(), None, &[][..]),
    };
    let entry = fault.entry();
    let status = entry.status.as_str();
    let mut text = match panic {
        Some(panic) => format!("panic: {}\n  by {}: {}", one_line(panic), entry.name, one_line(&cause)),
        None => format!("{}: {}", entry.name, one_line(&cause)),
    };
    text.push_str(&format!(" (a client gets {status})\n"));
    for frame in frames {
        text.push_str(&format!("  in {}\n", one_line(frame)));
    }
    text
}

/// Returns a note if `method` is a common method in the wrong case, such as `get`. Methods are
/// case-sensitive, so the handler probably has no route for it. Returns an empty text otherwise.
fn doubt(method: &str) -> String {
    let usual = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    let meant = usual.iter().find(|usual| method != **usual && method.eq_ignore_ascii_case(usual));
    meant
        .map(|meant| format!("the method was {method}; the usual one is {meant}, in capitals\n"))
        .unwrap_or_default()
}

fn describe(usage: &Usage) -> String {
    let bytes = |size: usize| ByteSize(size as u64);
    let written = match usage.written {
        Some(written) => format!("of which at most {} were written", bytes(written)),
        None => "created anew for each request".into(),
    };
    let time = usage.time.as_secs_f64() * 1e3;
    let mut text = format!("the call took {time:.3} ms; memory {}, {written}\n", bytes(usage.memory));
    if usage.grown > 0 && usage.written.is_some() {
        text.push_str(&format!(
            "the memory grew by {}, so a server drops the instance, and the next request waits for a new one\n",
            bytes(usage.grown)
        ));
    }
    text
}
