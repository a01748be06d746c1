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
use super::image::Image;
use super::instance::Instance;
use super::mapped::Laid;
use super::module::Data;
use super::pages::Pages;
use crate::message::Message;

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
    // A handler must never see a part of a request, so a span of another length is an
    // error.
    let no_room = || CallError::NoRoom { length: request.length() };
    let mut room = all.get_mut(range).ok_or_else(no_room)?;
    for piece in request.pieces() {
        let (place, rest) = room.split_at_mut_checked(piece.len()).ok_or_else(no_room)?;
        place.copy_from_slice(piece);
        room = rest;
    }
    if room.is_empty() { Ok(()) } else { Err(no_room()) }
}

/// The bytes at `span`, for as long as the store is borrowed.
pub(super) fn view<'a, T: 'static>(
    memory: Memory,
    store: impl Into<StoreContext<'a, T>>,
    span: Span,
) -> Result<&'a [u8], BadSpan> {
    let all = memory.data(store);
    let range = check(all.len(), span)?;
    all.get(range).ok_or(BadSpan { address: span.address, length: span.length, memory: all.len() })
}

/// Writes a module's data, which fit, into a memory that is zero all over.
///
/// # Errors
///
/// When the data do not fit after all, so that no instance starts with a part of them.
pub(super) fn write_data(memory: Memory, mut store: impl AsContextMut, data: &Data) -> Result<(), CallError> {
    let misfit = || CallError::no_instance(&"its data segments do not fit its memory");
    let all = memory.data_mut(&mut store);
    let mut bytes = &data.bytes[..];
    for segment in &data.segments {
        let (piece, rest) = bytes.split_at_checked(segment.length as usize).ok_or_else(misfit)?;
        bytes = rest;
        let start = segment.address as usize;
        all.get_mut(start..start + piece.len()).ok_or_else(misfit)?.copy_from_slice(piece);
    }
    Ok(())
}

/// What a memory holds now.
pub(super) fn image(memory: Memory, store: impl AsContext) -> Image {
    Image::of(memory.data(&store))
}

/// The part of a new instance's memory that an image is to be mapped to, if it is
/// not copied.
pub(super) fn room_for(image: &Image, memory: Memory, store: impl AsContext) -> Option<Laid> {
    let (start, file) = image.to_map()?;
    let length = file.bytes().len();
    let fits = start + length <= memory.data_size(&store);
    fits.then(|| Laid::at(memory.data_ptr(&store).wrapping_add(start), length))
}

/// Brings what an image holds into a memory that is zero all over, by a copy or by
/// a mapping to this part of it.
///
/// # Errors
///
/// When the system does not let it.
pub(super) fn lay(
    image: &Image,
    memory: Memory,
    mut store: impl AsContextMut,
    laid: Option<&Laid>,
) -> io::Result<()> {
    let all = memory.data_mut(&mut store);
    for (range, bytes) in image.to_copy() {
        all.get_mut(range).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
    }
    match (laid, image.to_map()) {
        (Some(laid), Some((start, file))) => {
            touch(all, [0, all.len().saturating_sub(1)]);
            laid.map(file)?;
            touch(memory.data_mut(&mut store), [start]);
            Ok(())
        }
        (None, None) => Ok(()),
        // The memory is too small for it, which cannot be.
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Writes to these bytes what they are. Linux keeps stretches of a mapping apart for
/// ever once they were first written to while they were apart. So each mapping is
/// written to before it is divided.
fn touch<const N: usize>(all: &mut [u8], places: [usize; N]) {
    for at in places {
        if let Some(byte) = all.get_mut(at) {
            *byte = black_box(*byte);
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

/// Begins to note which pages of a memory are written to, in this many stretches
/// at the most.
///
/// # Errors
///
/// When the system does not let it.
pub(super) fn guard<T>(memory: Memory, store: &mut Store<T>, stretches: u32) -> io::Result<Pages> {
    let all = memory.data_mut(&mut *store);
    touch(all, [0, all.len().saturating_sub(1)]);
    let (start, length) = (memory.data_ptr(&*store), memory.data_size(&*store));
    Pages::guard(store, start, length, stretches)
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
    let mut is_outside = false;
    pages.visit(|range, is_used| {
        let (Some(original), Some(place)) = (image.at(range.clone()), all.get_mut(range)) else {
            is_outside = true;
            return false;
        };
        // To compare a page that has changed would be for nothing.
        let has_changed = is_used || place != original;
        if has_changed {
            place.copy_from_slice(original);
        }
        has_changed
    })?;
    if is_outside { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
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
