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
    memory_max: usize,
    timeout: Duration,
    module_max: usize,
    code_max: usize,
    /// Whether files are compiled in this process, without limits.
    here: bool,
    /// The process for the next job.
    ready: Mutex<Option<Process>>,
}

impl Compilers {
    /// Starts a process for the first job. If that fails, the first job tries again and
    /// reports the error.
    pub fn new(limits: &CompileLimits) -> Compilers {
        let compilers = Compilers::with(limits, false);
        compilers.get_ready();
        compilers
    }

    /// Creates a compiler that works in this process, for tests and benches, which trust
    /// their files.
    pub fn here(limits: &CompileLimits) -> Compilers {
        Compilers::with(limits, true)
    }

    fn with(limits: &CompileLimits, here: bool) -> Compilers {
        Compilers(Arc::new(Shared {
            memory_max: limits.memory_max,
            timeout: limits.timeout,
            module_max: limits.module_max,
            code_max: limits.code_max,
            here,
            ready: Mutex::new(None),
        }))
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
        let Shared { memory_max, timeout: limit, module_max, code_max, .. } = *self.0;
        if file.len() > module_max {
            return Err(ModuleError::TooLarge { limit: module_max });
        }
        let (cpu, wall) = bounds(work, limit);
        let job = Job { work, memory_max, cpu_seconds: cpu, file: file.len() };
        let process = self.take_ready()?;
        let _next = Next(self);
        let done = match wall {
            Some(wall) => timeout(wall, process.run(&job, file, code_max)).await,
            None => Ok(process.run(&job, file, code_max).await),
        };
        done.unwrap_or(Err(ModuleError::CompileTime { limit }))
    }

    fn take_ready(&self) -> Result<Process, ModuleError> {
        let ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The process may have been killed while it waited.
        match ready.and_then(Process::if_alive) {
            Some(process) => Ok(process),
            None => Process::start().map_err(|error| ModuleError::NoCompiler(error.to_string())),
        }
    }

    /// Starts a process for the next job, unless one is ready. Errors are left to that
    /// job, which tries again.
    fn get_ready(&self) {
        let mut ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            *ready = Process::start().ok();
        }
    }
}

/// Starts a process for the next job on drop, when the current job has finished or was
/// abandoned.
struct Next<'a>(&'a Compilers);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current() {
            let compilers = self.0.clone();
            runtime.spawn(async move {
                // Delayed, so that starting a process does not slow the current swap.
                sleep(RESTART).await;
                compilers.get_ready();
            });
        }
    }
}

/// Returns the limits of a job: CPU time in whole seconds, and elapsed time. A job of
/// idle priority may wait for a core for any time, so only its CPU time is limited.
fn bounds(work: Work, limit: Duration) -> (u64, Option<Duration>) {
    let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    match work {
        Work::Compile { priority: Priority::Idle, .. } => (seconds, None),
        _ => {
            let threads = threads_at_once() as u64;
            (seconds.saturating_mul(threads).saturating_add(1), Some(limit))
        }
    }
}
