//! The machine code of a component, which sites share.

use std::sync::Arc;

use wasmtime_wasi_http::p2::bindings::ProxyPre;

use crate::component::engine::ComponentEngine;
use crate::component::needs;
use crate::component::state::State;
use crate::engine::Engine;
use crate::module;
use crate::module_error::{ModuleError, one_line};
use crate::shared::Shared;
use crate::verify::PAGE;

/// A compiled component that can be started.
#[derive(Clone)]
pub struct CompiledComponent {
    pub(super) engine: Engine,
    pub(super) code: Arc<Code>,
    /// File that is still to be optimised; [`None`] if the code is optimised.
    pub(super) unoptimised: Option<Arc<[u8]>>,
}

/// Machine code of a component with the engine that runs it.
pub(crate) struct Code {
    pub(super) engine: Arc<ComponentEngine>,
    pub(super) component: ProxyPre<State>,
    /// Size of the machine code in memory, in bytes.
    pub(super) size: usize,
}

impl CompiledComponent {
    /// Loads the machine code, and checks what the component imports and exports. `unoptimised` is
    /// the file, if it is still to be optimised.
    ///
    /// # Errors
    ///
    /// [`ModuleError`] says what was expected and what was found.
    pub(crate) fn new(
        engine: &Engine,
        code: &[u8],
        unoptimised: Option<Arc<[u8]>>,
    ) -> Result<CompiledComponent, ModuleError> {
        let components = engine.components().map_err(|error| ModuleError::NotMapped(error.to_string()))?;
        let component = module::load_component(components.wasmtime(), code)?;
        needs::check(&component.component_type(), components.wasmtime())?;
        check_memory(&component, engine)?;
        let image = component.image_range();
        let size = image.end.addr() - image.start.addr();
        let unfit = |error: wasmtime::Error| ModuleError::Unfit(one_line(&format!("{error:#}")));
        let component = components.linker().instantiate_pre(&component).map_err(unfit)?;
        let component = ProxyPre::new(component).map_err(unfit)?;
        let code = Arc::new(Code { engine: components, component, size });
        Ok(CompiledComponent { engine: engine.clone(), code, unoptimised })
    }

    /// Returns the machine code for use by other versions and sites.
    pub(crate) fn shared(&self) -> Shared<Code> {
        Shared::new(&self.code, self.unoptimised.as_ref())
    }

    /// Returns shared code as a component for the site of `engine`; [`None`] if no version uses the
    /// code any more, or if the component exceeds the limits of the site.
    pub(crate) fn of_shared(shared: &Shared<Code>, engine: &Engine) -> Option<CompiledComponent> {
        let (code, unoptimised) = shared.get()?;
        check_memory(code.component.instance_pre().component(), engine).ok()?;
        Some(CompiledComponent { engine: engine.clone(), code, unoptimised })
    }
}

/// Checks that no memory of a component is larger at its start than an instance may have. The sum
/// of all its memories is checked when the component starts.
fn check_memory(component: &wasmtime::component::Component, engine: &Engine) -> Result<(), ModuleError> {
    let limit = engine.limits().memory_max;
    let pages = component.resources_required().and_then(|needed| needed.max_initial_memory_size);
    match pages.map(|pages| pages.saturating_mul(PAGE)) {
        Some(minimum) if minimum > limit as u64 => Err(ModuleError::MemoryTooLarge { minimum, limit }),
        _ => Ok(()),
    }
}
