//! The instructions that work on much memory at once, and how they are classified.

use wasmparser::Operator;

/// Most bytes that are written without yielding. That takes microseconds, or a hundred
/// if all of the memory is touched for the first time.
pub(super) const CHUNK: u32 = 64 << 10;

/// Largest constant size that compiled code handles inline, in bytes. Such an
/// instruction is as short as any other.
pub(super) const INLINE: u32 = 128;

/// An instruction that is split, or before which compiled code may yield.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Bulk {
    Fill,
    Copy,
    Init {
        segment: u32,
    },
    /// Cannot be split: works on a table, grows the memory, or calls an import.
    Other,
}

impl Bulk {
    /// Classifies an instruction of a module with this number of imported functions.
    pub(super) fn from(operator: &Operator<'_>, imports: u32) -> Option<Bulk> {
        match operator {
            Operator::MemoryFill { .. } => Some(Bulk::Fill),
            Operator::MemoryCopy { .. } => Some(Bulk::Copy),
            Operator::MemoryInit { data_index, .. } => Some(Bulk::Init { segment: *data_index }),
            Operator::TableFill { .. } | Operator::TableCopy { .. } | Operator::TableInit { .. } => {
                Some(Bulk::Other)
            }
            Operator::TableGrow { .. } | Operator::MemoryGrow { .. } => Some(Bulk::Other),
            Operator::Call { function_index } if *function_index < imports => Some(Bulk::Other),
            _ => None,
        }
    }
}
