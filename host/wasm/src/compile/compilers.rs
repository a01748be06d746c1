//! Where the next compile process comes from. One is kept ready, because to
//! start a process takes longer than to compile an ordinary module.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};

use crate::compile::job::{Compiled, Effort, Job, Priority, Work};
use crate::compile::pipeline::{compile_here, threads_at_once};
use crate::compile::process::{Done, INTERRUPTED, Process};
use crate::inspect::Anatomy;
use crate::limits::CompileLimits;
use crate::module::ModuleError;

/// Time from the end of a job until a process for the next is started.
const RESTART: Duration = Duration::from_millis(10);

/// How often a job is tried that was ended by a signal meant for the server.
const ATTEMPTS: usize = 3;

/// Compiles and inspects files, each in a process of its own.
#[derive(Clone)]
pub struct Compilers(Arc<Shared>);

struct Shared {
    memory_max: usize,
    timeout: Duration,
    module_max: usize,
    code_max: usize,
    /// Whether jobs are done in this process, without any bound.
    here: bool,
    /// The process that does the next job.
    ready: Mutex<Option<Process>>,
}

impl Compilers {
    /// Starts a process ahead. Should that fail, the first job tries again, and
    /// says why.
    pub fn new(limits: &CompileLimits) -> Compilers {
        let compilers = Compilers::with(limits, false);
        compilers.get_ready();
        compilers
    }

    /// Compiles in this process, for programs that trust the files: tests and
    /// benches.
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

    /// Compiles the bytes of a file.
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
            Done::Inspected(_) => Err(ModuleError::Compiler("it answered another question".into())),
        }
    }

    /// Looks into a file, binary or text. Of a file that is not sound this tells
    /// what stands in front of the first mistake.
    ///
    /// # Errors
    ///
    /// When that took too much memory or time.
    pub async fn inspect(&self, file: &[u8]) -> Result<Anatomy, ModuleError> {
        match self.run(Work::Inspect, file).await? {
            Done::Inspected(anatomy) => Ok(*anatomy),
            Done::Compiled(_) => Err(ModuleError::Compiler("it answered another question".into())),
        }
    }

    /// Has a job done, again where a signal was meant for the server.
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
        // It may have been killed while it waited.
        match ready.and_then(Process::if_alive) {
            Some(process) => Ok(process),
            None => Process::start().map_err(|error| ModuleError::NoCompiler(error.to_string())),
        }
    }

    /// Has a process ready for the next job, unless there is none to be had.
    fn get_ready(&self) {
        let mut ready = self.0.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() {
            *ready = Process::start().ok();
        }
    }
}

/// Gets a process ready for the next job when this is dropped: the job is done, or
/// given up.
struct Next<'a>(&'a Compilers);

impl Drop for Next<'_> {
    fn drop(&mut self) {
        if let Ok(runtime) = Handle::try_current() {
            let compilers = self.0.clone();
            runtime.spawn(async move {
                // Starting a process takes time that the swap should not.
                sleep(RESTART).await;
                compilers.get_ready();
            });
        }
    }
}

/// Most processor time in whole seconds, and most time by the clock. Compiling
/// that waits for idle processors may take any time by the clock, and uses one
/// thread, so its processor time is what is bounded.
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
