//! Loads the machine code of a compiled file, and checks it against the contract.

#![allow(unsafe_code, reason = "loads machine code that the compiler returned as bytes")]

use std::sync::{Arc, Weak};

use wasmtime::Module;

use crate::code::{Code, Data};
use crate::compile::compilers::Compilers;
use crate::compile::job::{Compiled, Effort, Priority};
use crate::compile::pipeline::compile_here;
use crate::engine::Engine;
use crate::module_error::{ModuleError, not_loaded, one_line};
use crate::verify;
use crate::verify::Exports;

/// A compiled module that meets the contract and can be started.
pub struct CompiledModule {
    pub(super) engine: Engine,
    pub(super) code: Arc<Code>,
    /// The file, if it was compiled quickly and is still to be compiled thoroughly.
    pub(super) unoptimised: Option<Arc<[u8]>>,
}

/// Machine code that other versions and other sites may use, as long as one uses it.
#[derive(Clone)]
pub struct SharedCode {
    code: Weak<Code>,
    unoptimised: Option<Weak<[u8]>>,
}

impl SharedCode {
    /// Returns the code as a module of a site. `None` if no version uses it any more, or the
    /// limits of the site do not allow it.
    pub fn module(&self, engine: &Engine) -> Option<CompiledModule> {
        let code = self.code.upgrade()?;
        let unoptimised = match &self.unoptimised {
            Some(file) => Some(file.upgrade()?),
            None => None,
        };
        verify::check_memory(code.instance.module(), engine.limits().memory_max).ok()?;
        Some(CompiledModule { engine: engine.clone(), code, unoptimised })
    }

    /// Returns whether a version uses the code.
    pub fn is_used(&self) -> bool {
        self.code.strong_count() > 0
    }

    /// Returns whether the code is optimised.
    pub fn is_optimised(&self) -> bool {
        self.unoptimised.is_none()
    }
}

impl CompiledModule {
    /// Returns the machine code, for other versions and sites.
    pub fn shared_code(&self) -> SharedCode {
        let unoptimised = self.unoptimised.as_ref().map(Arc::downgrade);
        SharedCode { code: Arc::downgrade(&self.code), unoptimised }
    }

    /// Returns whether the module takes values: whether it exports `configure`.
    pub fn takes_values(&self) -> bool {
        self.code.exports.configure.is_some()
    }

    /// Compiles a file in a process of its own, and checks that it meets the contract.
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

    /// Compiles a trusted file in this process, and checks that it meets the contract.
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
        // SAFETY: the bytes come from this process, or through a private pipe from a
        // compile process of this program, and have been nowhere else. wasmtime checks
        // that both engines have the same settings.
        let module = unsafe { Module::deserialize(engine.wasmtime(), &compiled.code) };
        let module = module.map_err(|error| not_loaded(&error))?;
        verify::check_imports(&module)?;
        let mut exports = Exports::find(&module, engine.limits().memory_max)?;
        if let Some(reset) = &compiled.reset {
            exports.add(&module, reset)?;
        }
        let instance = engine.linker().instantiate_pre(&module);
        let instance = instance.map_err(|error| ModuleError::Invalid(one_line(&format!("{error:#}"))))?;
        let data =
            compiled.reset.map(|reset| Arc::new(Data { segments: reset.segments, bytes: compiled.data }));
        let code = Arc::new(Code { instance, exports, data });
        Ok(CompiledModule { engine: engine.clone(), code, unoptimised })
    }
}
