//! Copies bytes into and out of a module's linear memory. No other file reads or
//! writes that memory. Every address and length from a module is checked here against
//! the current size of the memory.

use std::hint::black_box;
use std::io;
use std::ops::Range;

use handler_sdk::abi::Span;
use host_http::message::Message;
use wasmtime::{AsContext, AsContextMut, Memory, Store, StoreContext};

use crate::call_error::{BadSpan, CallError};
use crate::code::Data;
use crate::image::Image;
use crate::mapped::Mapping;
use crate::pages::Pages;

/// Copies a request to `span` of a module's memory. The span must have the request's length.
pub(super) fn write(
    memory: Memory,
    mut store: impl AsContextMut,
    pages: Option<&mut Pages>,
    span: Span,
    request: &Message,
) -> Result<(), CallError> {
    let all = memory.data_mut(&mut store);
    let range = check(all.len(), span)
        .map_err(|cause| CallError::BadSpan { export: handler_sdk::abi::ALLOC, cause })?;
    if let Some(pages) = pages {
        pages.make_writable(range.clone()).map_err(CallError::no_instance)?;
    }
    let room = all.get_mut(range).ok_or_else(|| CallError::NoRoom { length: request.length() })?;
    fill(room, request)
}

/// Copies encoded values to `span` of a module's memory. The span must have the values' length. The
/// instance's pages must not be tracked yet, because tracked pages may be read-only.
pub(super) fn write_values(
    memory: Memory,
    mut store: impl AsContextMut,
    span: Span,
    values: &[u8],
) -> Result<(), CallError> {
    let all = memory.data_mut(&mut store);
    let (size, outside) = (all.len(), |cause| CallError::BadSpan { export: handler_sdk::abi::ALLOC, cause });
    let range = check(size, span).map_err(outside)?;
    let place = all.get_mut(range).filter(|place| place.len() == values.len());
    let cause = BadSpan { address: span.address, length: span.length, memory: size };
    place.ok_or_else(|| outside(cause))?.copy_from_slice(values);
    Ok(())
}

/// Copies a request to `room`, which must have the request's length: a handler must
/// never see a part of a request.
fn fill(mut room: &mut [u8], request: &Message) -> Result<(), CallError> {
    let no_room = || CallError::NoRoom { length: request.length() };
    for piece in request.pieces() {
        let (place, rest) = room.split_at_mut_checked(piece.len()).ok_or_else(no_room)?;
        place.copy_from_slice(piece);
        room = rest;
    }
    if room.is_empty() { Ok(()) } else { Err(no_room()) }
}

/// Returns the bytes at `span` of a module's memory.
///
/// # Errors
///
/// [`BadSpan`] when the span reaches outside of the memory.
pub(super) fn view<'a, T: 'static>(
    memory: Memory,
    store: impl Into<StoreContext<'a, T>>,
    span: Span,
) -> Result<&'a [u8], BadSpan> {
    let all = memory.data(store);
    let range = check(all.len(), span)?;
    all.get(range).ok_or(BadSpan { address: span.address, length: span.length, memory: all.len() })
}

/// Writes a module's data segments into the memory of a new instance.
///
/// # Errors
///
/// When a segment does not fit, which `survey` has excluded. An instance must not start with only a
/// part of its data.
pub(super) fn write_data(memory: Memory, mut store: impl AsContextMut, data: &Data) -> Result<(), CallError> {
    let misfit = || CallError::no_instance("its data segments do not fit its memory");
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

/// Returns an image of the memory's current content.
pub(super) fn image(memory: Memory, store: impl AsContext) -> Image {
    Image::of(memory.data(&store))
}

/// Copies an image into the memory of a new instance, or maps the image over a part of the memory,
/// and stores that part in `mapping`.
///
/// # Errors
///
/// When the system refuses the mapping, or the image does not fit.
pub(super) fn load(
    image: &Image,
    memory: Memory,
    mut store: impl AsContextMut,
    mapping: &mut Option<Mapping>,
) -> io::Result<()> {
    let all = memory.data_mut(&mut store);
    for (range, bytes) in image.to_copy() {
        all.get_mut(range).ok_or(io::ErrorKind::InvalidInput)?.copy_from_slice(bytes);
    }
    if let Some((start, file)) = image.to_map() {
        touch(all, [0, all.len().saturating_sub(1)]);
        let end = start + file.bytes().len();
        let part = all.get_mut(start..end).ok_or(io::ErrorKind::InvalidInput)?;
        // Stored before the mapping is made, so that dropping the instance clears it even
        // if mapping fails halfway.
        file.map_over(mapping.insert(Mapping::at(part.as_mut_ptr(), part.len())))?;
        touch(memory.data_mut(&mut store), [start]);
    }
    Ok(())
}

/// Writes the bytes at these offsets without changing them, so that a mapping was written to before
/// it is split. Linux never merges the parts of a mapping again if their first writes come after
/// the split.
fn touch<const N: usize>(all: &mut [u8], places: [usize; N]) {
    for at in places {
        if let Some(byte) = all.get_mut(at) {
            *byte = black_box(*byte);
        }
    }
}

/// Grows a memory to at least this size in bytes.
pub(super) fn grow(memory: Memory, mut store: impl AsContextMut, size: usize) -> wasmtime::Result<()> {
    let missing = size.saturating_sub(memory.data_size(&store)) as u64;
    let pages = missing.div_ceil(memory.page_size(&store));
    memory.grow(&mut store, pages)?;
    Ok(())
}

/// Returns the current size of a memory in bytes.
pub(super) fn size(memory: Memory, store: impl AsContext) -> usize {
    memory.data_size(store)
}

/// Starts to track which pages of a memory are written to, in at most `stretches`
/// separate ranges.
///
/// # Errors
///
/// When the system refuses to change the protection of the pages.
pub(super) fn guard<T>(memory: Memory, store: &mut Store<T>, stretches: u32) -> io::Result<Pages> {
    let all = memory.data_mut(&mut *store);
    touch(all, [0, all.len().saturating_sub(1)]);
    let (start, length) = (memory.data_ptr(&*store), memory.data_size(&*store));
    Pages::guard(store, start, length, stretches)
}

/// Resets a memory to an image. The memory must differ from the image in the tracked pages only.
///
/// # Errors
///
/// When the system refuses to protect pages again, or a page lies outside of the memory. The memory
/// must not serve another request after an error.
pub(super) fn reset(
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
        // A page that changes in most requests is copied without a comparison.
        let has_changed = is_used || place != original;
        if has_changed {
            place.copy_from_slice(original);
        }
        has_changed
    })?;
    if is_outside { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(()) }
}

/// Returns a span as a range of bytes, after checking that it lies in a memory of `memory` bytes.
fn check(memory: usize, span: Span) -> Result<Range<usize>, BadSpan> {
    let outside = || BadSpan { address: span.address, length: span.length, memory };
    let start = usize::try_from(span.address).map_err(|_| outside())?;
    let length = usize::try_from(span.length).map_err(|_| outside())?;
    let end = start.checked_add(length).filter(|end| *end <= memory).ok_or_else(outside)?;
    Ok(start..end)
}

#[cfg(test)]
mod tests {
    use super::{CallError, Message, Span, check, fill};

    #[test]
    fn a_span_past_the_end_of_the_memory_is_refused() {
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

    #[test]
    fn a_request_that_does_not_fit_exactly_is_an_error() {
        let request = Message { head: b"head".to_vec(), body: vec!["bo".into(), "dy".into()], seed: None };
        let mut room = [0; 8];
        fill(&mut room, &request).unwrap();
        assert_eq!(&room, b"headbody");
        for length in [0, 4, 7, 9] {
            let error = fill(&mut vec![0; length], &request).unwrap_err();
            assert!(matches!(error, CallError::NoRoom { length: 8 }), "{length}: {error}");
        }
    }
}
