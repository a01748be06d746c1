//! The state that every request starts from, how an instance gets into it, and
//! back into it after a request.

use wasmtime::Val;

use super::failure::CallError;
use super::image::Image;
use super::instance::Instance;
use super::memory;
use super::module::Data;

/// The state of an instance just after `_initialize`: all of it that a module
/// which was instrumented can change.
pub(super) struct Snapshot {
    image: Image,
    globals: Vec<Val>,
    /// Stretches of pages that an instance may have written to.
    stretches: u32,
}

impl Snapshot {
    /// Initialises a new instance of a module with these data, and keeps the state
    /// that it is in then.
    pub(super) async fn after_initialising(
        mut instance: Instance,
        data: &Data,
        stretches: u32,
    ) -> Result<Snapshot, CallError> {
        memory::write_data(instance.memory, &mut instance.store, data)?;
        instance.initialise().await?;
        let Instance { store, memory, globals, .. } = &mut instance;
        let image = memory::image(*memory, &*store);
        let globals = globals.iter().map(|global| global.get(&mut *store)).collect();
        Ok(Snapshot { image, globals, stretches })
    }

    /// The memory that it takes up, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.image.bytes()
    }

    /// Brings a new instance into this state. That it can be brought back into it
    /// after a request takes system calls, so it may be left out.
    pub(super) fn bring(&self, instance: &mut Instance, and_back: bool) -> Result<(), CallError> {
        instance.lay(&self.image)?;
        self.set_globals(instance).map_err(|error| CallError::no_instance(&error))?;
        if and_back { instance.guard(self.stretches) } else { Ok(()) }
    }

    /// Whether an instance has more memory than in this state. What has grown
    /// cannot shrink.
    pub(super) fn has_grown(&self, instance: &Instance) -> bool {
        memory::size(instance) != self.image.size
    }

    /// Brings an instance that has answered a request back into this state.
    /// False when that cannot be.
    pub(super) fn restore(&self, instance: &mut Instance) -> bool {
        let Instance { pages: Some(pages), store, memory, .. } = instance else {
            return false;
        };
        memory.data_size(&*store) == self.image.size
            && pages.can_be_put_back()
            && memory::put_back(*memory, &mut *store, &self.image, pages).is_ok()
            && self.set_globals(instance).is_ok()
    }

    fn set_globals(&self, instance: &mut Instance) -> wasmtime::Result<()> {
        let Instance { globals, store, .. } = instance;
        globals.iter().zip(&self.globals).try_for_each(|(global, value)| global.set(&mut *store, *value))
    }
}
