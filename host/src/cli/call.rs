//! `host call`: sends one request to a module without a server.

use std::io::{self, IsTerminal as _, Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, anyhow};
use bytesize::ByteSize;
use host_http::quote::{Quoted, quoted};
use host_wasm::{CallError, Usage};

use crate::cli::bench;
use crate::cli::bench::Bench;
use crate::config::limits::Limits;
use crate::fault::Fault;
use crate::seed;
use crate::trial::exchange::{Answer, Asked};

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
    /// Method [default: GET, or POST with a body]
    method: Option<String>,
    /// Target: a path with its query, or a URL
    target: String,
    /// Header of the request; repeatable
    #[arg(short = 'H', long = "header", value_name = "'NAME: VALUE'")]
    fields: Vec<String>,
    /// Body: a text, @ and the name of a file, or @- for standard input
    #[arg(short, long, value_name = "DATA|@FILE")]
    data: Option<String>,
    /// Seed of the random bits that the module draws, in 64 hexadecimal digits [default:
    /// random]
    #[arg(long, value_name = "HEX", value_parser = seed::parse)]
    seed: Option<[u8; 32]>,
    /// Print the head of the response too, with control characters escaped
    #[arg(short, long)]
    include: bool,
    /// Limits of the call.
    #[command(flatten)]
    limits: Limits,
}

pub(super) fn run(call: &Call) -> anyhow::Result<ExitCode> {
    bench::show_log();
    let asked = call.asked()?;
    let bench = Bench::new(&call.limits)?;
    let (answer, usage) = bench::block_on(async {
        let module = bench.load(&call.module).await?;
        Ok(asked.send_and_measure(&module).await)
    })?;
    let code = match &answer {
        Ok(answer) => {
            // A reader that closed its end, such as `head`, is no failure.
            let _ = show(answer, call.include);
            let status = answer.status_text();
            eprint(&format!("answered {} with {} bytes\n", shown(&status), answer.body.len()));
            if answer.status.as_u16() < 500 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(fault) => {
            eprint(&explain(fault));
            ExitCode::FAILURE
        }
    };
    eprint(&describe(&usage));
    Ok(code)
}

impl Call {
    fn asked(&self) -> anyhow::Result<Asked> {
        let by_default = if self.data.is_some() { "POST" } else { "GET" };
        let method = self.method.as_deref().unwrap_or(by_default);
        let mut asked = Asked::new(method, &self.target).map_err(|cause| anyhow!(cause))?;
        for field in &self.fields {
            asked.add_field(field).map_err(|cause| anyhow!(cause))?;
        }
        if let Some(seed) = self.seed {
            asked.set_seed(seed);
        }
        if let Some(data) = &self.data {
            asked.set_body(match data.strip_prefix('@') {
                Some("-") => {
                    let mut body = Vec::new();
                    io::stdin().read_to_end(&mut body).context("cannot read standard input")?;
                    body
                }
                Some(file) => std::fs::read(file).with_context(|| format!("cannot read {file}"))?,
                None => data.clone().into_bytes(),
            });
        }
        Ok(asked)
    }
}

fn show(answer: &Answer, head: bool) -> io::Result<()> {
    let mut output = io::stdout().lock();
    if head {
        write!(output, "HTTP/1.1 {}\r\n", shown(&answer.status_text()))?;
        for (name, value) in &answer.fields {
            write!(output, "{name}: {}\r\n", shown(&String::from_utf8_lossy(value.as_bytes())))?;
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

/// Describes a fault in one line, and a trap with its panic message and frames
/// below.
fn explain(fault: &Fault) -> String {
    let entry = fault.entry();
    let status = entry.status.as_str();
    let Fault::Call(CallError::Trap { trap, panic, frames }) = fault else {
        return format!("{}: {} (a client gets {status})\n", entry.name, shown(&fault.to_string()));
    };
    let mut text = format!("{}: {} (a client gets {status})\n", entry.name, shown(trap));
    if let Some(panic) = panic {
        text.push_str(&format!("  panic: {}\n", shown(panic)));
    }
    for frame in frames {
        text.push_str(&format!("  in {}\n", shown(frame)));
    }
    text
}

/// Escapes a module's text to one line.
fn shown(text: &str) -> Quoted<'_> {
    quoted(text, usize::MAX)
}

fn describe(usage: &Usage) -> String {
    let bytes = |size: usize| ByteSize(size as u64);
    let written = match usage.written {
        Some(written) => format!("of which at most {} were written", bytes(written)),
        None => "created anew for each request".into(),
    };
    let time = usage.time.as_secs_f64() * 1e3;
    format!("the call took {time:.3} ms; memory {}, {written}\n", bytes(usage.memory))
}

fn eprint(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
