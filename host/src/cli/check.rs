//! `host check`: reports whether a module can serve, and describes it.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytesize::ByteSize;
use handler_sdk::abi;
use host_http::quote::quoted;
use host_wasm::{Anatomy, Effort, Grant, Kind, Size};
use serde::Serialize;

use crate::cli::loader::{self, Loader, NotStarted};
use crate::cli::output::print;
use crate::config::limits::Limits;
use crate::config::values::ValueFlags;
use crate::site::remedy::{self, Language, Warning};
use crate::site::version::hash;
use crate::trial::probe::Probe;
use crate::trial::request_file::read as read_requests;

/// Maximum number of bytes in the report for the name of an export or an import.
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
    /// Request that the module must answer, and the expected status (default: any valid response
    /// below 500); repeatable
    #[arg(long, value_name = "'METHOD TARGET [STATUS]'")]
    probe: Vec<Probe>,
    /// File of requests that the module must answer as expected; repeatable
    #[arg(long, value_name = "FILE")]
    probe_file: Vec<PathBuf>,
    /// Values for the module.
    #[command(flatten)]
    values: ValueFlags,
    /// Limits of the trial.
    #[command(flatten)]
    limits: Limits,
}

/// Report about a module.
#[derive(Debug, Default, Serialize)]
struct Report {
    module: String,
    kind: Kind,
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
    instances_reset: Option<bool>,
    probes_passed: usize,
    warnings: Vec<Warning>,
}

#[derive(Debug, Serialize)]
struct Section {
    name: String,
    size: usize,
}

pub(super) async fn run(check: &Check) -> anyhow::Result<bool> {
    let file = loader::read(&check.module, &check.limits)?;
    let mut probes = check.probe.clone();
    for file in &check.probe_file {
        probes.extend(read_requests(file)?);
    }
    let loader = Loader::new(&check.limits, &check.values)?;
    // If inspecting the module exceeds a limit, compiling it does too and reports
    // that.
    let anatomy = loader.compilers.inspect(&file).await.unwrap_or_default();
    let mut report = Report::new(check.module.display().to_string(), &file, &anatomy);
    if file.len() > check.limits.swap.module_max
        && let Ok(found) = std::fs::metadata(&check.module)
        && found.is_file()
    {
        // Only the part up to the limit was read.
        (report.size, report.sha256) =
            (usize::try_from(found.len()).unwrap_or(usize::MAX), "not computed".into());
    }
    match report.try_out(&loader, &file, Language::of(&anatomy), &probes).await {
        Ok(()) => report.warnings = remedy::warnings(&anatomy, report.instances_reset),
        Err((error, remedy)) => (report.error, report.remedy) = (Some(error), Some(remedy)),
    }
    report.acceptable = report.error.is_none();
    print(match check.json {
        true => format!("{}\n", serde_json::to_string(&report)?),
        false => report.text(),
    });
    Ok(report.acceptable)
}

/// Runs one stage of a module's trial. If the stage succeeds, stores its duration in
/// `milliseconds`.
async fn timed<T, E>(
    stage: impl Future<Output = Result<T, E>>,
    milliseconds: &mut Option<f64>,
) -> Result<T, E> {
    let since = Instant::now();
    let result = stage.await;
    // Rounded to microseconds.
    let time = (since.elapsed().as_secs_f64() * 1e6).round() / 1e3;
    *milliseconds = result.is_ok().then_some(time);
    result
}

impl Report {
    /// Returns a report with the facts that the module file contains. [`Report::try_out`] adds the
    /// results of the trial.
    fn new(module: String, file: &[u8], anatomy: &Anatomy) -> Report {
        let shown = |name: &String| quoted(name, NAME_MAX).to_string();
        let imports = anatomy.imports.iter();
        let sections = anatomy.sections.iter().cloned();
        Report {
            module,
            kind: anatomy.kind,
            size: file.len(),
            sha256: hash(file),
            exports: anatomy.exports.iter().map(shown).collect(),
            imports: imports
                .map(|(from, name)| match anatomy.kind {
                    Kind::Module => format!("{} from {}", shown(name), shown(from)),
                    Kind::Component => format!("{} ({})", shown(name), Grant::of(name)),
                })
                .collect(),
            memory_pages: anatomy.memory,
            tables: anatomy.tables.clone(),
            sections: sections.map(|(name, size)| Section { name, size }).collect(),
            functions: anatomy.functions,
            function_names: anatomy.function_names,
            debug_info: anatomy.debug_info(),
            ..Report::default()
        }
    }

    /// Compiles and starts the module and sends it the probes, as a server does with a candidate,
    /// until a stage fails. Adds the results to the report.
    ///
    /// # Errors
    ///
    /// Why the module cannot serve, and the remedy.
    async fn try_out(
        &mut self,
        loader: &Loader,
        file: &Arc<[u8]>,
        language: Language,
        probes: &[Probe],
    ) -> Result<(), (String, String)> {
        let quick = timed(loader.compile(file, Effort::Quick), &mut self.compile_quick_ms).await;
        let quick = quick.map_err(|error| (error.to_string(), remedy::of_module(&error, language)))?;
        let started = timed(loader.start(quick), &mut self.start_ms).await;
        let started = started.map_err(|NotStarted { cause, remedy }| (cause, remedy))?;
        self.instances_reset = Some(started.resets_instances());
        for probe in probes {
            let remedy =
                || "compare with what host call prints for this request, or correct the probe".into();
            probe.send(&started).await.map_err(|error| (error.to_string(), remedy()))?;
            self.probes_passed += 1;
        }
        // A limit may stop the thorough compiler; the module serves without it.
        let _ = timed(loader.compile(file, Effort::Thorough), &mut self.compile_thorough_ms).await;
        Ok(())
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
        if self.kind == Kind::Component {
            line("kind", self.kind.to_string());
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
        if let Some(reset) = self.instances_reset {
            let how = if reset { "reset after each request" } else { "created anew for each request" };
            line("instances", how.into());
        }
        if self.probes_passed > 0 {
            line("probes", format!("{} passed", self.probes_passed));
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
    let in_bytes = |pages: u64| ByteSize(pages.saturating_mul(remedy::PAGE));
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
