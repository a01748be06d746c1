//! From WebAssembly to machine code, with one of two efforts: quickly, so that
//! a candidate serves soon, and then thoroughly, so that it serves cheaply.
//!
//! Both compute the same: the efforts differ in how registers are chosen and in
//! whether the code is optimised. Only how deep a recursion fits the stack may
//! differ. Nothing here runs on a thread that serves, and the threads it runs on
//! give way to those that do.

#![allow(
    unsafe_code,
    reason = "code passes from one engine to another as bytes, and a thread asks for less than any nice value gives"
)]

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};
use tracing::debug;
use wasmtime::{Config, Engine, Module, OptLevel, RegallocAlgorithm, Result, bail};

/// How hard the compiler tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effort {
    /// For the shortest time to compile: about half of what the other takes.
    Quick,
    /// For the best code.
    Thorough,
}

/// Whether somebody waits for what comes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Haste {
    /// A candidate is to serve, or a command to be carried out.
    Awaited,
    /// What there is does, until there is better.
    Whenever,
}

/// How much nicer the threads are than those that serve, as `nice` counts. With
/// 5, a thread gets a quarter of a core that a serving one wants too; with 19, a
/// seventieth.
const NICE_AWAITED: i32 = 5;
const NICE_WHENEVER: i32 = 19;

/// Where modules are compiled.
pub(super) struct Compiler {
    /// Compiles only; what comes of it runs in the engine that serves.
    quick: Engine,
    /// One for each core.
    threads: ThreadPool,
    /// It gets time that no other thread of this server wants.
    idle_thread: ThreadPool,
}

impl Compiler {
    /// `config` is what the code is to run with, but for where its instances
    /// are laid.
    pub(super) fn new(mut config: Config) -> Result<Compiler> {
        config.cranelift_opt_level(OptLevel::None);
        config.cranelift_regalloc_algorithm(RegallocAlgorithm::SinglePass);
        Ok(Compiler {
            quick: Engine::new(&config)?,
            // No number is one for each core.
            threads: threads(0, || be_nice(NICE_AWAITED))?,
            idle_thread: threads(1, || be_nice(NICE_WHENEVER).and_then(|()| be_idle()))?,
        })
    }

    /// Compiles a module, which is to run in `engine`.
    pub(super) fn compile(
        &self,
        engine: &Engine,
        binary: &[u8],
        effort: Effort,
        haste: Haste,
    ) -> Result<Module> {
        let compiler = match effort {
            Effort::Quick => &self.quick,
            Effort::Thorough => engine,
        };
        let threads = match haste {
            Haste::Awaited => &self.threads,
            Haste::Whenever => &self.idle_thread,
        };
        // A compiler is a large program that reads what strangers wrote: should
        // it fail at that, the module is no good, and nothing else is harmed.
        let compile = || threads.install(|| compiler.precompile_module(binary));
        let code = catch_unwind(AssertUnwindSafe(compile))
            .unwrap_or_else(|_| bail!("the compiler cannot cope with it, and panicked"))?;
        // Not on a thread that may have to stop while it has what all threads share.
        // SAFETY: wasmtime has made these bytes itself, a line above, and they
        // have been nowhere else. It checks that both engines agree on all that
        // the code depends on.
        unsafe { Module::deserialize(engine, code) }
    }
}

fn threads(count: usize, begin: fn() -> io::Result<()>) -> Result<ThreadPool, ThreadPoolBuildError> {
    let begin = move |_| {
        if let Err(error) = begin() {
            debug!(%error, "cannot lower the priority of compiling");
        }
    };
    ThreadPoolBuilder::new().num_threads(count).thread_name(|_| "compile".into()).start_handler(begin).build()
}

fn be_nice(nice: i32) -> io::Result<()> {
    // On Linux this is the priority of the calling thread alone.
    Ok(rustix::process::setpriority_process(None, nice)?)
}

/// Less than any nice value gives.
#[cfg(target_os = "linux")]
fn be_idle() -> io::Result<()> {
    // SAFETY: a policy and its parameters, which are only read, for the thread
    // that asks. The parameters are integers, and zero is what the policy wants.
    let error = unsafe {
        let parameters = std::mem::zeroed::<libc::sched_param>();
        libc::pthread_setschedparam(libc::pthread_self(), libc::SCHED_IDLE, &raw const parameters)
    };
    if error == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(error)) }
}

#[cfg(not(target_os = "linux"))]
fn be_idle() -> io::Result<()> {
    Ok(())
}
