//! How bytes get into a module's linear memory and out of it. Nothing else
//! touches that memory, and every address and length that a module gave is
//! checked here against the memory as it is at that moment.

use std::hint::black_box;
use std::io;
use std::ops::Range;

use handler_sdk::abi::Span;
use thiserror::Error;
use wasmtime::{AsContext, AsContextMut, Memory, Store, StoreContext};

use super::failure::CallError;
use super::instance::Instance;
use super::pages::Pages;
use crate::message::Message;

/// The unit in which an image is cut off, and as long as the pages of any system
/// get: one page of WebAssembly.
const CHUNK: usize = 65_536;

static ZEROS: [u8; CHUNK] = [0; CHUNK];

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

/// Copies a request to `span`, which is as long as it is.
pub(super) fn write(instance: &mut Instance, span: Span, request: &Message) -> Result<(), CallError> {
    let Instance { memory, store, pages, .. } = instance;
    let all = memory.data_mut(store);
    let range = check(all.len(), span)
        .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::ALLOC, cause })?;
    if let Some(pages) = pages {
        pages.make_writable(range.clone()).map_err(|error| CallError::no_instance(&error))?;
    }
    let mut room = all.get_mut(range).unwrap_or_default();
    for piece in request.pieces() {
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

/// What a memory held at some moment.
pub(super) struct Image {
    /// Without the zeros at the end.
    bytes: Vec<u8>,
    /// The memory's size in bytes.
    pub(super) size: usize,
}

impl Image {
    /// What it holds now.
    pub(super) fn of(memory: Memory, store: impl AsContext) -> Image {
        let all = memory.data(&store);
        let last = all.chunks(CHUNK).rposition(|chunk| ZEROS.get(..chunk.len()) != Some(chunk));
        let used = last.map_or(0, |last| (last + 1) * CHUNK).min(all.len());
        Image { bytes: all.get(..used).unwrap_or_default().into(), size: all.len() }
    }

    /// What stood there. The range ends where its chunk does, or before.
    fn at(&self, range: Range<usize>) -> &[u8] {
        let zeros = ZEROS.get(..range.len()).unwrap_or_default();
        self.bytes.get(range).unwrap_or(zeros)
    }

    /// Writes what stood in this range of a memory into another of that size,
    /// which nothing was written to from `grown_from` on.
    pub(super) fn copy(
        &self,
        range: Range<usize>,
        grown_from: usize,
        memory: Memory,
        mut store: impl AsContextMut,
    ) {
        let all = memory.data_mut(&mut store);
        let start = range.start;
        for (index, place) in all.get_mut(range).unwrap_or_default().chunks_mut(CHUNK).enumerate() {
            let start = start + index * CHUNK;
            let original = self.at(start..start + place.len());
            // To write zeros over zeros would only make them real.
            if start < grown_from || ZEROS.get(..original.len()) != Some(original) {
                place.copy_from_slice(original);
            }
        }
    }
}

/// Lets a memory grow to this size in bytes, of which it has no more yet.
pub(super) fn grow(memory: Memory, mut store: impl AsContextMut, size: usize) -> wasmtime::Result<()> {
    let missing = size.saturating_sub(memory.data_size(&store)) as u64;
    let pages = missing.div_ceil(memory.page_size(&store));
    memory.grow(&mut store, pages)?;
    Ok(())
}

/// How large an instance's memory is now, in bytes.
pub(super) fn size(instance: &Instance) -> usize {
    instance.memory.data_size(&instance.store)
}

/// Begins to note which pages of a memory are written to. `data` is where its
/// module's data lie.
///
/// # Errors
///
/// When the system does not let it.
pub(super) fn guard<T>(memory: Memory, store: &mut Store<T>, data: &Range<u64>) -> io::Result<Pages> {
    // Linux keeps stretches of a mapping apart for ever once they were first
    // written to while they were apart. So each mapping is written to before: the
    // one that holds the data, and those before and behind it.
    let all = memory.data_mut(&mut *store);
    let ends =
        [0, data.start.saturating_sub(1), data.start, data.end.saturating_sub(1), data.end + CHUNK as u64];
    for at in ends.into_iter().chain([all.len().saturating_sub(1) as u64]) {
        if let Some(byte) = usize::try_from(at).ok().and_then(|at| all.get_mut(at)) {
            *byte = black_box(*byte);
        }
    }
    let (start, length) = (memory.data_ptr(&*store), memory.data_size(&*store));
    Pages::guard(store, start, length)
}

/// Makes a memory what it was when the image was made, of which it differs in
/// these pages at most.
///
/// # Errors
///
/// When the system does not let it.
pub(super) fn put_back(
    memory: Memory,
    mut store: impl AsContextMut,
    image: &Image,
    pages: &mut Pages,
) -> io::Result<()> {
    let all = memory.data_mut(&mut store);
    pages.visit(|range, is_used| {
        let original = image.at(range.clone());
        match all.get_mut(range) {
            // To compare a page that has changed would be for nothing.
            Some(place) if is_used || place != original => {
                place.copy_from_slice(original);
                true
            }
            _ => false,
        }
    })
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
