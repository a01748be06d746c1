//! Is this file a handler? Takes what a compiler made of it, and says why it
//! cannot be the handler if it cannot.

#![allow(unsafe_code, reason = "the code of a module comes from the compiler as bytes")]

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use wasmtime::{InstancePre, Module};

use super::compile::{Compiled, Compilers, Effort, Priority, compile_here};
use super::engine::Engine;
use super::failure::MESSAGE_MAX;
use super::handler::HandlerModule;
use super::instance::CallState;
use super::instrument::Segment;
use super::verify::{self, Exports};
use crate::quote::quoted;

/// A compiled module that meets the contract, and was not started yet.
pub struct CompiledModule {
    pub(super) engine: Engine,
    pub(super) code: Code,
    /// The file, as long as it should be compiled again with more effort.
    pub(super) unoptimised: Option<Arc<[u8]>>,
}

/// What instances are made from.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) instance: InstancePre<CallState>,
    pub(super) exports: Exports,
    /// What its memory begins with, if all that it can change can be put back.
    pub(super) data: Option<Arc<Data>>,
}

/// The data that were taken out of a module.
pub(super) struct Data {
    pub(super) segments: Vec<Segment>,
    /// Those of all segments, one after the other.
    pub(super) bytes: Vec<u8>,
}

impl Code {
    /// Returns its size in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let image = self.instance.module().image_range();
        image.end.addr() - image.start.addr()
    }
}

/// Why a file cannot be the handler.
#[derive(Debug, Error, Serialize, Deserialize)]
pub enum ModuleError {
    /// Nothing in it.
    #[error("it is empty; expected a WebAssembly module")]
    Empty,
    /// Past the limit on files.
    #[error("it is larger than {limit} bytes (the limit is --module-max)")]
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// A component, which is another kind of WebAssembly binary.
    #[error(
        "it is a WebAssembly component; expected a core module (build for wasm32-unknown-unknown, and do not wrap it)"
    )]
    Component,
    /// Text, but not WebAssembly's.
    #[error(
        "it is a text file that is not WebAssembly text; expected a module that begins with \\0asm, or with (module"
    )]
    OtherText,
    /// Neither binary nor text.
    #[error("it is not WebAssembly: it begins with the bytes {start}; expected \\0asm")]
    NotWasm {
        /// The first bytes, in hexadecimal.
        start: String,
    },
    /// WebAssembly text with a mistake in it.
    #[error("its WebAssembly text is wrong: {0}")]
    Text(String),
    /// A binary that is damaged, or needs what is not offered.
    #[error("it is not a valid WebAssembly module: {0}")]
    Invalid(String),
    /// Valid, but more than an instance may have.
    #[error("it needs more than an instance may have (--memory-max, --table-max): {0}")]
    TooDemanding(String),
    /// Valid, but with more of a part than any program needs.
    #[error("it has more than {limit} {what}")]
    TooComplex {
        /// What there is too much of, in the plural.
        what: String,
        /// How many there may be.
        limit: u64,
    },
    /// The compiler ran into its bound on memory.
    #[error("to compile it takes more than {} of memory (--compile-memory-max)", ByteSize(*.limit as u64))]
    CompileMemory {
        /// In bytes.
        limit: usize,
    },
    /// The compiler ran into its bound on time.
    #[error("to compile it takes longer than {} (--compile-timeout)", humantime::format_duration(*.limit))]
    CompileTime {
        /// By the clock, or of processor time.
        limit: Duration,
    },
    /// The compiler was ended from outside.
    #[error(
        "the compiler was killed, most likely by the kernel for want of memory (its own bound is {}, --compile-memory-max; the machine or the cgroup may have less)",
        ByteSize(*.limit as u64)
    )]
    CompilerKilled {
        /// In bytes.
        limit: usize,
    },
    /// The compiler gave up. It should not, on any file.
    #[error("the compiler failed: {0}")]
    Compiler(String),
    /// There was no compiler to be had, which is no fault of the file's.
    #[error("cannot start a process to compile in: {0}")]
    NoCompiler(String),
    /// The code is past what may be kept.
    #[error("its code is {} long, more than {} (--keep-bytes)", ByteSize(*.size as u64), ByteSize(*.limit as u64))]
    CodeTooLarge {
        /// In bytes.
        size: usize,
        /// In bytes.
        limit: usize,
    },
    /// Valid, but with more globals than are put back after each request.
    #[error("it has {found} globals that can change; expected at most {limit}")]
    TooManyGlobals {
        /// How many it has.
        found: usize,
        /// How many it may have.
        limit: usize,
    },
    /// Something of the contract is not there.
    #[error("it has no export `{name}`; expected {expected}")]
    ExportMissing {
        /// The export's name.
        name: String,
        /// What the contract wants there.
        expected: String,
    },
    /// Something of the contract is there, but is something else.
    #[error("its export `{name}` is {found}; expected {expected}")]
    ExportType {
        /// The export's name.
        name: String,
        /// What the contract wants there.
        expected: String,
        /// What is there.
        found: String,
    },
    /// It wants something that no host of this contract has.
    #[error("it imports `{name}` from `{module}`, which is not offered; the only import there is: {offered}")]
    ImportUnknown {
        /// The module that it wants to import from.
        module: String,
        /// What it wants to import.
        name: String,
        /// What it could import.
        offered: String,
    },
    /// It wants something that there is, as something else.
    #[error("it imports `{name}` from `{module}` as {found}; expected {expected}")]
    ImportType {
        /// The module that it imports from.
        module: String,
        /// What it imports.
        name: String,
        /// What is offered.
        expected: String,
        /// What it takes it for.
        found: String,
    },
    /// It starts with more memory than an instance may have.
    #[error(
        "its memory starts at {minimum} bytes, more than the {limit} bytes an instance may have (--memory-max)"
    )]
    MemoryTooLarge {
        /// In bytes.
        minimum: u64,
        /// In bytes.
        limit: usize,
    },
}

impl ModuleError {
    /// Whether the module is sound WebAssembly, and only does not meet the
    /// contract.
    pub fn is_about_the_contract(&self) -> bool {
        use ModuleError as E;
        match self {
            E::ExportMissing { .. } | E::ExportType { .. } | E::MemoryTooLarge { .. } => true,
            E::ImportUnknown { .. } | E::ImportType { .. } => true,
            E::Empty | E::TooLarge { .. } | E::Component | E::OtherText => false,
            E::NotWasm { .. } | E::Text(_) | E::Invalid(_) | E::TooDemanding(_) => false,
            E::TooComplex { .. } | E::CodeTooLarge { .. } | E::NoCompiler(_) | E::Compiler(_) => false,
            E::CompileMemory { .. } | E::CompileTime { .. } | E::CompilerKilled { .. } => false,
            E::TooManyGlobals { .. } => false,
        }
    }
}

impl ModuleError {
    /// Whether the same module may do better another time.
    pub fn is_passing(&self) -> bool {
        use ModuleError as E;
        matches!(self, E::NoCompiler(_) | E::CompilerKilled { .. } | E::CompileTime { .. })
    }
}

impl CompiledModule {
    /// Compiles the bytes of a file in a process of its own, and checks that it
    /// meets the contract.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub async fn compile(
        engine: &Engine,
        compilers: &Compilers,
        file: &Arc<[u8]>,
        effort: Effort,
        priority: Priority,
    ) -> Result<CompiledModule, ModuleError> {
        let compiled = compilers.compile(file, effort, priority).await?;
        CompiledModule::new(engine, compiled, (effort == Effort::Quick).then(|| Arc::clone(file)))
    }

    /// Does the same in this process, for programs that trust the file.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub fn compile_here(engine: &Engine, file: &[u8], effort: Effort) -> Result<CompiledModule, ModuleError> {
        CompiledModule::new(engine, compile_here(file, effort)?, None)
    }

    fn new(
        engine: &Engine,
        compiled: Compiled,
        unoptimised: Option<Arc<[u8]>>,
    ) -> Result<CompiledModule, ModuleError> {
        // SAFETY: the bytes come from this process, or over a pipe of its own from
        // a process of this program that was started for them, and have been
        // nowhere else. wasmtime checks that both engines agree on all that the
        // code depends on.
        let module = unsafe { Module::deserialize(engine.wasmtime(), &compiled.code) };
        // The compiler found it valid. It may still need more than the pool of
        // instances has.
        let module = module.map_err(|error| ModuleError::TooDemanding(one_line(&format!("{error:#}"))))?;
        verify::check_imports(&module)?;
        let mut exports = Exports::find(&module, engine.limits().memory_max)?;
        if let Some(put_back) = &compiled.put_back {
            exports.add(&module, put_back)?;
        }
        let instance = engine.linker().instantiate_pre(&module);
        let instance = instance.map_err(|error| ModuleError::Invalid(one_line(&format!("{error:#}"))))?;
        let data = compiled
            .put_back
            .map(|put_back| Arc::new(Data { segments: put_back.segments, bytes: compiled.data }));
        let code = Code { instance, exports, data };
        Ok(CompiledModule { engine: engine.clone(), code, unoptimised })
    }

    /// The module of a handler that was made from the same bytes, with the code
    /// that it has by now.
    pub fn of(handler: &HandlerModule) -> CompiledModule {
        CompiledModule {
            engine: handler.engine().clone(),
            code: handler.code().clone(),
            unoptimised: handler.unoptimised(),
        }
    }
}

/// The binary form, or what this is instead of WebAssembly.
pub(super) fn read(file: &[u8]) -> Result<Cow<'_, [u8]>, ModuleError> {
    if file.is_empty() {
        return Err(ModuleError::Empty);
    }
    let binary = match wat::Detect::from_bytes(file) {
        wat::Detect::WasmBinary => Cow::Borrowed(file),
        wat::Detect::WasmText => {
            wat::parse_bytes(file).map_err(|error| ModuleError::Text(one_line(&error)))?
        }
        wat::Detect::Unknown if is_text(file) => return Err(ModuleError::OtherText),
        wat::Detect::Unknown => {
            let start: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
            return Err(ModuleError::NotWasm { start: start.join(" ") });
        }
    };
    // Behind the magic come a version and a layer, of 16 bits each: layer 0 is
    // for core modules and 1 for components.
    match binary.get(6) {
        Some(1) => Err(ModuleError::Component),
        _ => Ok(binary),
    }
}

/// Whether a person would call it text.
fn is_text(file: &[u8]) -> bool {
    let plain = |c: char| !c.is_control() || c.is_ascii_whitespace();
    std::str::from_utf8(file).is_ok_and(|text| text.chars().all(plain))
}

/// Messages that draw the place of a mistake below them, cut to what they say
/// and where: `expected ... at 1:12`.
pub(super) fn one_line(message: &impl ToString) -> String {
    let text = message.to_string();
    let mut lines = text.lines().map(str::trim);
    // An empty message has no first line, and stays empty.
    let what = quoted(lines.next().unwrap_or(""), MESSAGE_MAX);
    match lines.find_map(|line| line.strip_prefix("--> ")) {
        Some(place) => format!("{what} (at {})", quoted(place.trim_start_matches("<anon>:"), MESSAGE_MAX)),
        None => what.to_string(),
    }
}
