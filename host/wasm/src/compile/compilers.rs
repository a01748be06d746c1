//! Runs one compile process at a time, and keeps the next one ready, because starting a
//! process takes longer than compiling an ordinary module. A job that a swap or a command
//! waits for interrupts a job of idle priority, which then starts anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, watch};
use tokio::time::{sleep, timeout};

use crate::compile::job::{Compiled, Effort, Job, Priority, Work};
use crate::compile::pipeline::{compile_here, threads_at_once};
use crate::compile::process::{Done, INTERRUPTED, Process};
use crate::inspect::Anatomy;
use crate::limits::CompileLimits;
use crate::module_error::ModuleError;
use crate::system_memory;

/// Delay between the end of a job and the start of the next process.
const RESTART: Duration = Duration::from_millis(10);

/// Maximum number of attempts at a job. A job is repeated if its process was ended by a signal that
/// was meant for the server.
const ATTEMPTS: usize = 3;

/// Minimum memory limit of a compile process, in bytes. It applies even if the system has less
/// memory left, because with less the compiler fails before it reads the file.
const MEMORY_LEAST: usize = 32 << 20;

/// Compiles and inspects files, each in its own process.
#[derive(Clone)]
pub struct Compilers(Arc<Shared>);

struct Shared {
    limits: CompileLimits,
    /// Maximum number of cores that a job uses.
    threads: usize,
    /// Whether files are compiled in the server's own process, without limits.
    here: bool,
    /// Process that waits for the next job.
    ready: Mutex<Option<Process>>,
    /// Locked from the start of a job until its process has ended and freed its memory.
    turn: Arc<tokio::sync::Mutex<()>>,
    /// Number of jobs that a swap or a command waits for.
    awaited: watch::Sender<usize>,
}

impl Compilers {
    /// Creates the compilers. When called in a tokio runtime, also starts the process for the first
    /// job. If that fails, the first job tries again and reports the error.
    pub fn new(limits: &CompileLimits) -> Compilers {
        let compilers = Compilers::with(limits, false);
        if Handle::try_current().is_ok() {
            // Not warmed up, because the first job comes at once.
            compilers.0.get_ready(false);
        }
        compilers
    }

    /// Creates compilers that compile in the process of the caller, for tests and benches, which
    /// trust their files. Files are still inspected in separate processes.
    pub fn here(limits: &CompileLimits) -> Compilers {
        Compilers::with(limits, true)
    }

    fn with(limits: &CompileLimits, here: bool) -> Compilers {
        let threads = threads_at_once();
        Compilers(Arc::new(Shared {
            limits: limits.clone(),
            threads,
            here,
            ready: Mutex::new(None),
            turn: Arc::default(),
            awaited: watch::Sender::new(0),
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
        let shared = &self.0;
        if file.len() > shared.limits.module_max {
            return Err(ModuleError::TooLarge { limit: shared.limits.module_max });
        }
        if !matches!(work, Work::Compile { priority: Priority::Idle, .. }) {
            let _awaited = Awaited::new(&shared.awaited);
            return shared.attempt(work, file).await;
        }
        loop {
            let mut awaited = shared.awaited.subscribe();
            // The sender lives as long as `self`, so neither wait can fail.
            let _ = awaited.wait_for(|jobs| *jobs == 0).await;
            tokio::select! {
                done = shared.attempt(work, file) => return done,
                _ = awaited.wait_for(|jobs| *jobs > 0) => {}
            }
        }
    }
}

/// Guard that counts a job while a swap or a command waits for it.
struct Awaited<'a>(&'a watch::Sender<usize>);

impl Awaited<'_> {
    fn new(jobs: &watch::Sender<usize>) -> Awaited<'_> {
        jobs.send_modify(|jobs| *jobs += 1);
        Awaited(jobs)
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|jobs| *jobs -= 1);
    }
}

impl Shared {
    /// Runs a job once no other job runs. Dropping the future ends the job's process.
    async fn attempt(self: &Arc<Self>, work: Work, file: &[u8]) -> Result<Done, ModuleError> {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let CompileLimits { memory_max, timeout: limit, code_max, .. } = self.limits;
        let (cpu_seconds, elapsed) = bounds(work, limit, self.threads);
        let memory = memory_max.min(memory_left(file.len()));
        let job = Job { work, memory_max: memory, cpu_seconds, file: file.len() };
        let mut running = Running { shared: self, process: Some(self.take_ready()?), turn: Some(turn) };
        let Some(process) = &mut running.process else {
            return Err(ModuleError::Compiler("its process is gone".into()));
        };
        let done = timeout(elapsed, process.run(&job, file, code_max)).await;
        done.unwrap_or(Err(ModuleError::CompileTime { limit })).map_err(|error| match error {
            ModuleError::CompileMemory { .. } if memory < memory_max => {
                ModuleError::CompileMemoryLeft { limit: memory, flag: memory_max }
            }
            // The process knows what it was given, which follows from the flags.
            ModuleError::CompileTime { .. } => ModuleError::CompileTime { limit },
            ModuleError::CompilerKilled { .. } => ModuleError::CompilerKilled { limit: memory_max },
            error => error,
        })
    }

    fn take_ready(&self) -> Result<Process, ModuleError> {
        let ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The process may have been killed while it waited.
        match ready.and_then(Process::if_alive) {
            Some(process) => Ok(process),
            None => Process::start(false).map_err(|error| ModuleError::NoCompiler(error.to_string())),
        }
    }

    /// Starts a process for the next job. Does nothing if a process is ready, or if a job runs,
    /// because a process is started at the end of each job. Ignores errors, because the next job
    /// tries again.
    fn get_ready(&self, warm_up: bool) {
        let mut ready = self.ready.lock().unwrap_or_else(PoisonError::into_inner);
        if ready.is_none() && self.turn.try_lock().is_ok() {
            *ready = Process::start(warm_up).ok();
        }
    }
}

/// Running job with its process. When this is dropped, the job has finished or was abandoned: the
/// process ends, and the process for the next job is started.
struct Running<'a> {
    shared: &'a Arc<Shared>,
    process: Option<Process>,
    turn: Option<OwnedMutexGuard<()>>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        let (process, turn, shared) = (self.process.take(), self.turn.take(), Arc::clone(self.shared));
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                if let Some(process) = process {
                    process.end().await;
                }
                drop(turn);
                // Delayed, so that starting a process does not slow the current swap.
                sleep(RESTART).await;
                shared.get_ready(true);
            });
        }
    }
}

/// Returns the maximum memory in bytes for compiling a file of this length, so that a cgroup does
/// not run out of memory, in which case the kernel might kill the server. Reserves an eighth of the
/// free memory, and room for the compiled code, the first instance and its image, each of which may
/// be as long as the file.
fn memory_left(file: usize) -> usize {
    let left = system_memory::left().and_then(|left| usize::try_from(left).ok()).unwrap_or(usize::MAX);
    (left - left / 8).saturating_sub(file.saturating_mul(3)).max(MEMORY_LEAST)
}

/// Returns the limits of a job: CPU time in whole seconds, and elapsed time. The elapsed time of a
/// job of idle priority is not limited, because such a job may have to wait long for a core.
fn bounds(work: Work, limit: Duration, threads: usize) -> (u64, Duration) {
    let seconds = limit.as_secs() + u64::from(limit.subsec_nanos() > 0);
    match work {
        Work::Compile { priority: Priority::Idle, .. } => (seconds, Duration::MAX),
        _ => (seconds.saturating_mul(threads as u64).saturating_add(1), limit),
    }
}
