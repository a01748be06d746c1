//! Keeps one compile process ready, because starting a process takes longer than
//! compiling an ordinary module.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::compile::job::{Compiled, Effort, Job, Priority, Work};
use crate::compile::pipeline::{compile_here, threads_at_once};
use crate::compile::process::{Done, INTERRUPTED, Process};
use crate::inspect::Anatomy;
use crate::limits::CompileLimits;
use crate::module_error::ModuleError;

/// Delay between the end of a job and the start of the next process.
const RESTART: Duration = Duration::from_millis(10);

/// Attempts at a job whose process is ended by signals meant for the server.
const ATTEMPTS: usize = 3;

/// Compiles and inspects files, each in its own process.
#[derive(Clone)]
pub struct Compilers(Arc<Shared>);

struct Shared {
    limits: CompileLimits,
    /// Most cores that a job uses.
    threads: usize,
    /// Whether files are compiled in this process, without limits.
    here: bool,
    /// The process for the next job.
    ready: Mutex<Option<Process>>,
}

impl Compilers {
    /// Starts a process for the first job, if called in a runtime. If that fails, the first
    /// job tries again and reports the error.
    pub fn new(limits: &CompileLimits) -> Compilers {
        let compilers = Compilers::with(limits, false);
        if Handle::try_current().is_ok() {
            // Not warmed up, because the first job comes at once.
            compilers.0.get_ready(false);
        }
        compilers
    }

    /// Creates a compiler that compiles in this process, for tests and benches, which trust
    /// their files. Files are still inspected in a process of their own.
    pub fn here(limits: &CompileLimits) -> Compilers {
        Compilers::with(limits, true)
    }

    fn with(limits: &CompileLimits, here: bool) -> Compilers {
        let threads = threads_at_once();
        Compilers(Arc::new(Shared { limits: limits.clone(), threads, here, ready: Mutex::new(None) }))
    }

    /// Compiles a file.
    pub(crate) async fn compile(
        &self,
        file: &[u8],
        effort: Effort,
        priority: Priority,
    ) -> Result<Compiled, ModuleError> {
        if self.0.here {
            return compile_here(file, effort);
        }
        match self.run(Work::Compile { effort, priority }, file).await? {
            Done::Compiled(compiled) => Ok(compiled),
            Done::Inspected(_) => Err(ModuleError::Compiler("its answer has the wrong kind".into())),
        }
    }

    /// Lists the parts of a file, binary or text. For an invalid file, lists the parts
    /// before the first mistake.
    ///
    /// # Errors
    ///
    /// When the file is too long, or the process fails or reaches its limits.
    pub async fn inspect(&self, file: &[u8]) -> Result<Anatomy, ModuleError> {
        match self.run(Work::Inspect, file).await? {
            Done::Inspected(anatomy) => Ok(*anatomy),
            Done::Compiled(_) => Err(ModuleError::Compiler("its answer has the wrong kind".into())),
        }
    }

    /// Runs a job, and repeats it if a signal meant for the server ended the process.
    async fn run(&self, work: Work, file: &[u8]) -> Result<Done, ModuleError> {
        for _ in 1..ATTEMPTS {
            match self.run_once(work, file).await {
                Err(ModuleError::Compiler(why)) if why == INTERRUPTED => {}
                done => return done,
            }
        }
        self.run_once(work, file).await
    }

    async fn run_once(&self, work: Work, file: &[u8]) -> Result<Done, ModuleError> {
        let CompileLimits { memory_max, timeout: limit, module_max, code_max } = self.0.limits;
        if file.len() > module_max {
            return Err(ModuleError::TooLarge { limit: module_max });
        }
        let (cpu_seconds, elapsed) = bounds(work, limit, self.0.threads);
        let job = Job { work, memory_max, cpu_seconds, file: file.len() };
        let process = self.0.take_ready()?;
        let _next = Next(&self.0);
        let done = timeout(elapsed, process.run(&job, file, code_max)).await;
        done.unwrap_or(Err(ModuleError::CompileTime { limit }))
    }
}

impl Shared {
    fn take_ready(&self) -> Result<Process, ModuleError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The process may have been killed while it waited.
        match ready.and_then(Process::if_alive) {
            Some(process) => Ok(process),
            None => Process::start(false).map_err(|error| ModuleError::NoCompiler(error.to_string())),
        }
    }

    /// Starts a process for the next job, unless one is ready. Errors are left to that
    /// job, which tries again.
    fn get_ready(&self, warm_up: bool) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            *ready = Process::start(warm_up).ok();
        }
    }
}

/// Starts a process for the next job on drop, when the current job has finished or was
/// abandoned.
struct Next<'a>(&'a Arc<Shared>);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current() {
            let compilers = Arc::clone(self.0);
            runtime.spawn(async move {
                // Delayed, so that starting a process does not slow the current swap.
                sleep(RESTART).await;
                compilers.get_ready(true);
            });
        }
    }
}

/// Returns the limits of a job: CPU time in whole seconds, and elapsed time. A job of
/// idle priority may wait for a core for any time, so only its CPU time is limited.
fn bounds(work: Work, limit: Duration, threads: usize) -> (u64, Duration) {
    let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    match work {
        Work::Compile { priority: Priority::Idle, .. } => (seconds, Duration::MAX),
        _ => (seconds.saturating_mul(threads as u64).saturating_add(1), limit),
    }
}
