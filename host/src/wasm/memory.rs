//! How bytes get into a module's linear memory and out of it. Nothing else
//! touches that memory, and every address and length that a module gave is
//! checked here against the memory as it is at that moment.

use std::ops::Range;

use bytes::Bytes;
use handler_sdk::abi::Span;
use thiserror::Error;
use wasmtime::{AsContextMut, Memory, StoreContext};

/// A module named bytes that are not in its memory.
#[derive(Debug, Error, PartialEq, Eq)]
#[error("address {address:#x} + {length} bytes is past the end of its memory of {memory} bytes")]
pub struct BadSpan {
    /// The address that the module gave.
    pub address: u32,
    /// The length in bytes, from the module or from the request.
    pub length: u32,
    /// The memory's size in bytes.
    pub memory: usize,
}

/// Copies the pieces, one after the other, to `span`, which is as long as they
/// are together.
pub(super) fn write(
    memory: Memory,
    mut store: impl AsContextMut,
    span: Span,
    pieces: &[Bytes],
) -> Result<(), BadSpan> {
    let all = memory.data_mut(&mut store);
    let range = check(all.len(), span)?;
    let mut room = all.get_mut(range).unwrap_or_default();
    for piece in pieces {
        let Some((place, rest)) = room.split_at_mut_checked(piece.len()) else {
            break;
        };
        place.copy_from_slice(piece);
        room = rest;
    }
    Ok(())
}

/// The bytes at `span`, for as long as the store is borrowed.
pub(super) fn view<'a, T: 'static>(
    memory: Memory,
    store: impl Into<StoreContext<'a, T>>,
    span: Span,
) -> Result<&'a [u8], BadSpan> {
    let all = memory.data(store);
    let range = check(all.len(), span)?;
    Ok(all.get(range).unwrap_or_default())
}

/// The span as a range inside a memory of `memory` bytes.
fn check(memory: usize, span: Span) -> Result<Range<usize>, BadSpan> {
    let outside = || BadSpan { address: span.address, length: span.length, memory };
    let start = usize::try_from(span.address).map_err(|_| outside())?;
    let length = usize::try_from(span.length).map_err(|_| outside())?;
    let end = start.checked_add(length).filter(|end| *end <= memory).ok_or_else(outside)?;
    Ok(start..end)
}

#[cfg(test)]
mod tests {
    use super::{Span, check};

    #[test]
    fn a_span_ends_at_the_latest_where_the_memory_ends() {
        let memory = 65_536;
        let ends = |address, length| check(memory, Span { address, length });
        assert_eq!(ends(0, 0), Ok(0..0));
        assert_eq!(ends(65_535, 1), Ok(65_535..65_536));
        assert_eq!(ends(65_536, 0), Ok(65_536..65_536));
        for (address, length) in [(65_536, 1), (65_537, 0), (0, 65_537), (u32::MAX, u32::MAX), (1, u32::MAX)]
        {
            assert!(ends(address, length).is_err(), "{address} + {length}");
        }
    }
}
