//! The state just after `_initialize` and `configure`, from which every request starts: taken once
//! per module, loaded into new instances, and restored after each request.

use wasmtime::Val;

use crate::call_error::CallError;
use crate::code::Data;
use crate::image::Image;
use crate::instance::Instance;
use crate::memory;

/// Everything that an instrumented module can change, as of just after `_initialize` and
/// `configure`.
pub(super) struct Snapshot {
    image: Image,
    globals: Vec<Val>,
    /// Maximum number of stretches (see `mappings`) with which an instance is still reset.
    stretches: u32,
}

impl Snapshot {
    /// Writes `data` into a new instance, initialises it, and takes the snapshot.
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

    /// Returns the memory that the snapshot takes up, in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.image.bytes()
    }

    /// Loads the snapshot into a new instance. With `track`, also tracks writes, which costs system
    /// calls but allows the instance to be reset after its request.
    pub(super) fn load(&self, instance: &mut Instance, track: bool) -> Result<(), CallError> {
        let Instance { memory, store, mapping, pages, .. } = instance;
        memory::grow(*memory, &mut *store, self.image.size).map_err(CallError::no_instance)?;
        memory::load(&self.image, *memory, &mut *store, mapping).map_err(CallError::no_instance)?;
        if track {
            *pages = Some(memory::guard(*memory, store, self.stretches).map_err(CallError::no_instance)?);
        }
        self.set_globals(instance).map_err(CallError::no_instance)
    }

    /// Returns whether an instance has grown its memory, which cannot shrink again.
    pub(super) fn has_grown(&self, instance: &Instance) -> bool {
        memory::size(instance.memory, &instance.store) != self.image.size
    }

    /// Resets an instance after a request. Returns false if the instance cannot be reset and must
    /// be dropped.
    pub(super) fn restore(&self, instance: &mut Instance) -> bool {
        let Instance { pages: Some(pages), store, memory, .. } = instance else {
            return false;
        };
        memory.data_size(&*store) == self.image.size
            && pages.can_be_reset()
            && memory::reset(*memory, &mut *store, &self.image, pages).is_ok()
            && self.set_globals(instance).is_ok()
    }

    fn set_globals(&self, instance: &mut Instance) -> wasmtime::Result<()> {
        let Instance { globals, store, .. } = instance;
        globals.iter().zip(&self.globals).try_for_each(|(global, value)| global.set(&mut *store, *value))
    }
}
