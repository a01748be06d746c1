//! A compiled handler of either kind: made from a file, shared among versions and sites, and
//! started.

use std::sync::Arc;

use crate::call_error::CallError;
use crate::code::Code;
use crate::compile::compilers::Compilers;
use crate::compile::job::{Compiled, Effort, Priority};
use crate::compile::pipeline::compile_here;
use crate::component::compiled::{Code as ComponentCode, CompiledComponent};
use crate::engine::Engine;
use crate::handler::Handler;
use crate::kind::Kind;
use crate::module::CompiledModule;
use crate::module_error::ModuleError;
use crate::shared::Shared;
use crate::values::Values;

/// A compiled handler that meets the contract of its kind and can be started.
pub enum CompiledHandler {
    /// A module that gets the bytes of a request.
    Bytes(CompiledModule),
    /// A component.
    Component(CompiledComponent),
}

/// Machine code for use by other versions and sites. Does not keep the code in memory once no
/// version uses it any more.
#[derive(Clone)]
pub struct SharedCode(OfKind);

#[derive(Clone)]
enum OfKind {
    Bytes(Shared<Code>),
    Component(Shared<ComponentCode>),
}

impl CompiledHandler {
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
    ) -> Result<CompiledHandler, ModuleError> {
        let compiled = compilers.compile(file, effort, priority).await?;
        CompiledHandler::new(engine, compiled, (effort == Effort::Quick).then(|| Arc::clone(file)))
    }

    /// Compiles a trusted file in this process, and checks that it meets the contract.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub fn compile_here(
        engine: &Engine,
        file: &[u8],
        effort: Effort,
    ) -> Result<CompiledHandler, ModuleError> {
        CompiledHandler::new(engine, compile_here(file, effort)?, None)
    }

    fn new(
        engine: &Engine,
        compiled: Compiled,
        unoptimised: Option<Arc<[u8]>>,
    ) -> Result<CompiledHandler, ModuleError> {
        Ok(match compiled.kind {
            Kind::Module => CompiledHandler::Bytes(CompiledModule::new(engine, compiled, unoptimised)?),
            Kind::Component => {
                CompiledHandler::Component(CompiledComponent::new(engine, &compiled.code, unoptimised)?)
            }
        })
    }

    /// Starts the handler with these values: runs the code that the handler runs before its first
    /// request.
    ///
    /// # Errors
    ///
    /// [`CallError`] when that code fails.
    pub async fn start(self, values: Arc<Values>) -> Result<Handler, CallError> {
        Ok(match self {
            CompiledHandler::Bytes(module) => Handler::Bytes(module.start(values).await?.into()),
            CompiledHandler::Component(component) => {
                Handler::Component(component.start(values).await?.into())
            }
        })
    }

    /// Starts the handler, and drops its log lines, because an earlier start of it has logged
    /// them.
    ///
    /// # Errors
    ///
    /// [`CallError`] when what runs before the first request fails.
    pub async fn start_quietly(self, values: Arc<Values>) -> Result<Handler, CallError> {
        Ok(match self {
            CompiledHandler::Bytes(module) => Handler::Bytes(module.start_quietly(values).await?.into()),
            CompiledHandler::Component(component) => {
                Handler::Component(component.start_quietly(values).await?.into())
            }
        })
    }

    /// Returns the kind of the handler.
    pub fn kind(&self) -> Kind {
        match self {
            CompiledHandler::Bytes(_) => Kind::Module,
            CompiledHandler::Component(_) => Kind::Component,
        }
    }

    /// Returns whether the handler takes values.
    pub fn takes_values(&self) -> bool {
        match self {
            CompiledHandler::Bytes(module) => module.takes_values(),
            // They are its environment.
            CompiledHandler::Component(_) => true,
        }
    }

    /// Returns the machine code for use by other versions and sites.
    pub fn shared_code(&self) -> SharedCode {
        SharedCode(match self {
            CompiledHandler::Bytes(module) => OfKind::Bytes(module.shared()),
            CompiledHandler::Component(component) => OfKind::Component(component.shared()),
        })
    }
}

impl SharedCode {
    /// Returns the code as a handler for the site of `engine`; [`None`] if no version uses the code
    /// any more, or if the handler exceeds the limits of the site.
    pub fn handler(&self, engine: &Engine) -> Option<CompiledHandler> {
        Some(match &self.0 {
            OfKind::Bytes(code) => CompiledHandler::Bytes(CompiledModule::of_shared(code, engine)?),
            OfKind::Component(code) => {
                CompiledHandler::Component(CompiledComponent::of_shared(code, engine)?)
            }
        })
    }

    /// Returns whether a version uses the code.
    pub fn is_used(&self) -> bool {
        match &self.0 {
            OfKind::Bytes(code) => code.is_used(),
            OfKind::Component(code) => code.is_used(),
        }
    }

    /// Returns whether the code is optimised.
    pub fn is_optimised(&self) -> bool {
        match &self.0 {
            OfKind::Bytes(code) => code.is_optimised(),
            OfKind::Component(code) => code.is_optimised(),
        }
    }
}

impl Handler {
    /// Returns the handler with its current code, optimised or not, to start it again.
    pub fn compiled(&self) -> CompiledHandler {
        match self {
            Handler::Bytes(module) => CompiledHandler::Bytes(module.compiled()),
            Handler::Component(component) => CompiledHandler::Component(component.compiled()),
        }
    }
}
