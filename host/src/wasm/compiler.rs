//! From WebAssembly to machine code, with one of two efforts: quickly, so that
//! a candidate serves soon, and then thoroughly, so that it serves cheaply.
//!
//! Both compute the same: the efforts differ in how registers are chosen and in
//! whether the code is optimised. Only how deep a recursion fits the stack may
//! differ. Nothing here runs on a thread that
//! serves, and the threads it runs on give way to those that do.

#![allow(unsafe_code, reason = "code that was compiled by one engine is handed to another as bytes")]

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

/// How much nicer the threads are than those that serve, as `nice` counts. With
/// 5, a thread gets a quarter of a core that a serving one wants too; with 19, a
/// seventieth.
const NICE_QUICK: i32 = 5;
const NICE_THOROUGH: i32 = 19;

/// Where modules are compiled.
pub(super) struct Compiler {
    /// Compiles only; what comes of it runs in the engine that serves.
    quick: Engine,
    /// A thread for each core: somebody waits for what they do.
    quick_threads: ThreadPool,
    /// One thread: nobody waits for it.
    thorough_thread: ThreadPool,
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
            quick_threads: threads(0, NICE_QUICK)?,
            thorough_thread: threads(1, NICE_THOROUGH)?,
        })
    }

    /// Compiles a module, which is to run in `engine`.
    pub(super) fn compile(&self, engine: &Engine, binary: &[u8], effort: Effort) -> Result<Module> {
        let threads = match effort {
            Effort::Quick => &self.quick_threads,
            Effort::Thorough => &self.thorough_thread,
        };
        // A compiler is a large program that reads what strangers wrote: should
        // it fail at that, the module is no good, and nothing else is harmed.
        let compiled = catch_unwind(AssertUnwindSafe(|| {
            threads.install(|| match effort {
                Effort::Quick => self.compile_quickly(engine, binary),
                Effort::Thorough => Module::from_binary(engine, binary),
            })
        }));
        compiled.unwrap_or_else(|_| bail!("the compiler cannot cope with it, and panicked"))
    }

    fn compile_quickly(&self, engine: &Engine, binary: &[u8]) -> Result<Module> {
        let code = self.quick.precompile_module(binary)?;
        // SAFETY: wasmtime has made these bytes itself, a line above, and they
        // have been nowhere else. It checks that both engines agree on all that
        // the code depends on.
        unsafe { Module::deserialize(engine, code) }
    }
}

fn threads(count: usize, nice: i32) -> Result<ThreadPool, ThreadPoolBuildError> {
    let be_nice = move |_| {
        // On Linux this is the priority of the calling thread alone.
        if let Err(error) = rustix::process::setpriority_process(None, nice) {
            debug!(%error, "cannot lower the priority of compiling");
        }
    };
    ThreadPoolBuilder::new()
        .num_threads(count)
        .thread_name(|_| "compile".into())
        .start_handler(be_nice)
        .build()
}
