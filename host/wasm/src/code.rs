//! The machine code of a module, from which instances are created.

use std::sync::Arc;

use wasmtime::InstancePre;

use crate::call_state::CallState;
use crate::instrument::Segment;
use crate::verify::Exports;

/// Machine code with the exports and data segments that an instance needs.
#[derive(Clone)]
pub(super) struct Code {
    pub(super) instance: InstancePre<CallState>,
    pub(super) exports: Exports,
    /// Data segments that the host writes into each new instance; [`None`] if instances cannot be
    /// reset.
    pub(super) data: Option<Arc<Data>>,
}

/// The data segments that were taken out of a module.
pub(super) struct Data {
    pub(super) segments: Vec<Segment>,
    /// The content of all segments, one after the other.
    pub(super) bytes: Vec<u8>,
}

impl Code {
    /// Returns the size of the machine code in memory, in bytes.
    pub(super) fn size(&self) -> usize {
        let image = self.instance.module().image_range();
        image.end.addr() - image.start.addr()
    }
}
