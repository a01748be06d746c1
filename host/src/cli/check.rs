//! `host check`: reports whether a module can serve, and describes it.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytesize::ByteSize;
use handler_sdk::abi;
use host_http::quote::quoted;
use host_wasm::{Anatomy, Effort, Size};
use serde::Serialize;

use crate::cli::bench;
use crate::cli::bench::Bench;
use crate::cli::remedy::{self, Warning};
use crate::config::limits::Limits;
use crate::site::version::hash;

/// A page of WebAssembly, in bytes.
const PAGE: u64 = 65_536;

/// Longest name that is shown, in bytes.
const NAME_MAX: usize = 200;

/// Arguments of `host check`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Exit code: 0 when the module can serve, with or without warnings; 1 when it cannot.")]
pub struct Check {
    /// Module: WebAssembly, binary (.wasm) or text (.wat)
    module: PathBuf,
    /// Print the report as a line of JSON
    #[arg(long)]
    json: bool,
    /// Limits of the trial.
    #[command(flatten)]
    limits: Limits,
}

/// Report about a module.
#[derive(Debug, Serialize)]
struct Report {
    module: String,
    acceptable: bool,
    error: Option<String>,
    remedy: Option<String>,
    size: usize,
    sha256: String,
    exports: Vec<String>,
    imports: Vec<String>,
    memory_pages: Option<Size>,
    tables: Vec<Size>,
    sections: Vec<Section>,
    functions: usize,
    function_names: usize,
    debug_info: usize,
    compile_quick_ms: Option<f64>,
    compile_thorough_ms: Option<f64>,
    start_ms: Option<f64>,
    instances_put_back: Option<bool>,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Section {
    name: String,
    size: usize,
}

/// Result of compiling and starting a module.
#[derive(Default)]
struct Trial {
    error: Option<(String, String)>,
    quick: Option<Duration>,
    thorough: Option<Duration>,
    start: Option<Duration>,
    put_back: Option<bool>,
}

pub(super) fn run(check: &Check) -> anyhow::Result<ExitCode> {
    bench::show_log();
    let file: Arc<[u8]> = bench::read(&check.module, &check.limits)?.into();
    let bench = Bench::new(&check.limits)?;
    let (anatomy, trial) = bench::block_on(async {
        // If inspecting the module exceeds a limit, compiling it does too and
        // reports that.
        let anatomy = bench.compilers.inspect(&file).await.unwrap_or_default();
        Ok((anatomy, try_out(&bench, &file).await))
    })?;
    let report = Report::new(check.module.display().to_string(), &file, anatomy, trial);
    let text = match check.json {
        true => format!("{}\n", serde_json::to_string(&report)?),
        false => report.text(),
    };
    // A reader that closed its end, such as `head`, is no failure.
    let _ = std::io::stdout().write_all(text.as_bytes());
    Ok(if report.acceptable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Takes a module through the stages of a candidate, as far as it gets.
async fn try_out(bench: &Bench, file: &Arc<[u8]>) -> Trial {
    let mut trial = Trial::default();
    let since = Instant::now();
    let quick = match bench.compile(file, Effort::Quick).await {
        Ok(compiled) => compiled,
        Err(error) => {
            trial.error = Some((error.to_string(), remedy::of_module(&error)));
            return trial;
        }
    };
    trial.quick = Some(since.elapsed());

    let since = Instant::now();
    match quick.start().await {
        Ok(started) => {
            trial.start = Some(since.elapsed());
            trial.put_back = Some(started.resets_instances());
        }
        Err(error) => {
            trial.error = Some((format!("the module does not start: {error}"), remedy::of_start(&error)));
            return trial;
        }
    }

    let since = Instant::now();
    if bench.compile(file, Effort::Thorough).await.is_ok() {
        trial.thorough = Some(since.elapsed());
    }
    trial
}

impl Report {
    fn new(module: String, bytes: &[u8], anatomy: Anatomy, trial: Trial) -> Report {
        let warnings = match trial.error {
            Some(_) => Vec::new(),
            None => remedy::warnings(&anatomy, trial.put_back),
        };
        let (error, remedy) = trial.error.unzip();
        let debug_info = anatomy.debug_info();
        let Anatomy { exports, imports, memory, tables, sections, functions, function_names, .. } = anatomy;
        let shown = |name: &String| quoted(name, NAME_MAX).to_string();
        let imports = imports.iter().map(|(from, name)| format!("{} from {}", shown(name), shown(from)));
        Report {
            module,
            acceptable: error.is_none(),
            error,
            remedy,
            size: bytes.len(),
            sha256: hash(bytes),
            exports: exports.iter().map(shown).collect(),
            imports: imports.collect(),
            memory_pages: memory,
            tables,
            sections: sections.into_iter().map(|(name, size)| Section { name, size }).collect(),
            functions,
            function_names,
            debug_info,
            compile_quick_ms: trial.quick.map(milliseconds),
            compile_thorough_ms: trial.thorough.map(milliseconds),
            start_ms: trial.start.map(milliseconds),
            instances_put_back: trial.put_back,
            warnings,
        }
    }

    fn text(&self) -> String {
        let verdict = if self.acceptable { "can serve" } else { "cannot serve" };
        let mut text = format!("{}: {verdict}\n", self.module);
        let mut line = |name: &str, value: String| {
            let _ = writeln!(text, "  {name:<11} {value}");
        };
        if let (Some(error), Some(remedy)) = (&self.error, &self.remedy) {
            line("error", error.clone());
            line("remedy", remedy.clone());
        }
        line("size", format!("{}, sha256 {}", bytes(self.size), self.sha256));
        if !self.sections.is_empty() {
            line("exports", list(&self.exports));
            line("imports", list(&self.imports));
            line(abi::MEMORY, self.memory_pages.map_or("none".into(), |size| pages(&size)));
            let tables: Vec<_> = self.tables.iter().map(elements).collect();
            line("tables", list(&tables));
            let sections = self.sections.iter();
            let sections: Vec<_> =
                sections.map(|Section { name, size }| format!("{name} {}", bytes(*size))).collect();
            line("sections", list(&sections));
            let known = match (self.functions, self.function_names) {
                (all, 0) => format!("{all}, without names"),
                (all, known) => format!("{all}, {known} with names"),
            };
            line("functions", known);
        }
        if let (Some(quick), Some(thorough)) = (self.compile_quick_ms, self.compile_thorough_ms) {
            line("compiling", format!("{quick:.1} ms quickly, {thorough:.1} ms thoroughly"));
        }
        if let Some(start) = self.start_ms {
            line("starting", format!("{start:.2} ms"));
        }
        if let Some(put_back) = self.instances_put_back {
            let how = if put_back { "reset after each request" } else { "created anew for each request" };
            line("instances", how.into());
        }
        for Warning { what, remedy } in &self.warnings {
            line("warning", what.clone());
            line("remedy", remedy.clone());
        }
        text
    }
}

fn list(items: &[String]) -> String {
    if items.is_empty() { "none".into() } else { items.join(", ") }
}

fn bytes(size: usize) -> String {
    ByteSize(size as u64).to_string()
}

fn pages(size: &Size) -> String {
    let in_bytes = |pages: u64| ByteSize(pages.saturating_mul(PAGE));
    let initial = format!("{} ({}) initially", count(size.initial, "page"), in_bytes(size.initial));
    match size.maximum {
        Some(maximum) => format!("{initial}, {} ({}) at most", count(maximum, "page"), in_bytes(maximum)),
        None => format!("{initial}, no maximum of its own"),
    }
}

fn elements(size: &Size) -> String {
    match size.maximum {
        Some(maximum) if maximum != size.initial => {
            format!("{} to {}", size.initial, count(maximum, "element"))
        }
        _ => count(size.initial, "element"),
    }
}

fn count(number: u64, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}

fn milliseconds(time: Duration) -> f64 {
    // Rounded to microseconds.
    (time.as_secs_f64() * 1e6).round() / 1e3
}
