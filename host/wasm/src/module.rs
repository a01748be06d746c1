//! Loads the machine code of a compiled file, and checks it against the contract.

#![allow(unsafe_code, reason = "loads machine code that the compiler returned as bytes")]

use std::sync::Arc;

use wasmtime::Module;
use wasmtime::component::Component;

use crate::code::{Code, Data};
use crate::compile::job::Compiled;
use crate::engine::Engine;
use crate::module_error::{ModuleError, not_loaded, one_line};
use crate::shared::Shared;
use crate::verify;
use crate::verify::Exports;

/// A compiled module that meets the contract and can be started.
pub struct CompiledModule {
    pub(super) engine: Engine,
    pub(super) code: Arc<Code>,
    /// File that is still to be optimised; [`None`] if the code is optimised.
    pub(super) unoptimised: Option<Arc<[u8]>>,
}

impl CompiledModule {
    /// Returns the machine code for use by other versions and sites.
    pub(crate) fn shared(&self) -> Shared<Code> {
        Shared::new(&self.code, self.unoptimised.as_ref())
    }

    /// Returns shared code as a module for the site of `engine`; [`None`] if no version uses the code
    /// any more, or if the module exceeds the limits of the site.
    pub(crate) fn of_shared(shared: &Shared<Code>, engine: &Engine) -> Option<CompiledModule> {
        let (code, unoptimised) = shared.get()?;
        verify::check_memory(code.instance.module(), engine.limits().memory_max).ok()?;
        Some(CompiledModule { engine: engine.clone(), code, unoptimised })
    }

    /// Returns whether the module takes values: whether it exports `configure`.
    pub fn takes_values(&self) -> bool {
        self.code.exports.configure.is_some()
    }

    /// Loads the machine code, and checks that the module meets the contract. `unoptimised` is the
    /// file, if it is still to be optimised.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub(super) fn new(
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

/// Loads the machine code of a component.
pub(super) fn load_component(engine: &wasmtime::Engine, code: &[u8]) -> Result<Component, ModuleError> {
    // SAFETY: as for a module.
    let component = unsafe { Component::deserialize(engine, code) };
    component.map_err(|error| not_loaded(&error))
}
