//! The state that every request starts from, how an instance gets into it, and
//! back into it after a request.

use std::ops::Range;

use wasmtime::Val;

use super::failure::CallError;
use super::instance::Instance;
use super::memory::{self, Image};

/// The state of an instance just after `_initialize`: all of it that a module
/// which was instrumented can change.
pub(super) struct Snapshot {
    image: Image,
    /// The size of a new instance's memory, in bytes.
    grown_from: usize,
    /// Where it may differ from a new instance's memory, in bytes.
    initialised: Vec<Range<usize>>,
    globals: Vec<Val>,
    /// Where the module's data lie.
    data: Range<u64>,
}

impl Snapshot {
    /// Initialises a new instance, and keeps the state that it is in then.
    pub(super) async fn after_initialising(
        mut instance: Instance,
        data: Range<u64>,
    ) -> Result<Snapshot, CallError> {
        let grown_from = instance.memory.data_size(&instance.store);
        instance.guard(&data)?;
        instance.initialise().await?;

        let Instance { pages, store, memory, globals, .. } = &mut instance;
        let image = Image::of(*memory, &*store);
        let globals = globals.iter().map(|global| global.get(&mut *store)).collect();
        let mut initialised = Vec::new();
        if let Some(pages) = pages {
            let note = |range, _| {
                initialised.push(range);
                true
            };
            pages.visit(note).map_err(|error| CallError::no_instance(&error))?;
        }
        Ok(Snapshot { image, grown_from, initialised, globals, data })
    }

    /// Brings a new instance into this state. That it can be brought back into it
    /// after a request takes system calls, so it may be left out.
    pub(super) fn bring(&self, instance: &mut Instance, and_back: bool) -> Result<(), CallError> {
        let Instance { store, memory, .. } = instance;
        memory::grow(*memory, &mut *store, self.image.size)
            .map_err(|error| CallError::no_instance(&error))?;
        let grown = self.grown_from..self.image.size;
        for range in self.initialised.iter().chain([&grown]) {
            self.image.copy(range.clone(), self.grown_from, *memory, &mut *store);
        }
        self.set_globals(instance).map_err(|error| CallError::no_instance(&error))?;
        if and_back { instance.guard(&self.data) } else { Ok(()) }
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
