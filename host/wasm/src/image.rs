//! The content of a memory just after `_initialize` and `configure`. A small image is copied into
//! each new instance. A large image is a file in memory that is mapped over the instance's memory,
//! copy on write.
//!
//! The module's data segments were taken out, so wasmtime's pool provides a memory that is all
//! zero. A mapped image is replaced by zeros again before the instance is dropped, as the pool
//! expects.

use std::ops::Range;

use crate::mapped::File;

/// Maximum size in bytes of all non-zero pages of an image that is copied. A larger image is
/// mapped. At this size copying takes about as long as mapping.
const COPIED_MAX: usize = 128 << 10;

/// Largest page size of any supported system, in bytes.
const PAGE_MAX: usize = 65_536;

static ZEROS: [u8; PAGE_MAX] = [0; PAGE_MAX];

/// The content of a memory at one moment.
pub(super) struct Image {
    /// The memory's size in bytes.
    pub(super) size: usize,
    /// Offset of the first non-zero page.
    start: usize,
    /// The content from `start` to the end of the last non-zero page.
    bytes: Bytes,
    /// The ranges of non-zero pages.
    used: Vec<Range<usize>>,
}

enum Bytes {
    Copied(Vec<u8>),
    Mapped(File),
}

impl Image {
    /// Makes an image of this content.
    pub(super) fn of(memory: &[u8]) -> Image {
        let page = rustix::param::page_size();
        let mut used: Vec<Range<usize>> = Vec::new();
        for (index, bytes) in memory.chunks(page).enumerate() {
            if ZEROS.get(..bytes.len()) == Some(bytes) {
                continue;
            }
            let start = index * page;
            match used.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = start + bytes.len(),
                None => used.push(start..start + bytes.len()),
            }
        }
        let start = used.first().map_or(0, |first| first.start);
        let length = used.last().map_or(0, |last| last.end) - start;
        let total: usize = used.iter().map(Range::len).sum();
        // No piece is left out: every range was made from chunks of `memory`.
        let pieces =
            || used.iter().filter_map(|range| Some((range.start - start, memory.get(range.clone())?)));
        // On systems without files in memory, every image is copied.
        let mapped = if total > COPIED_MAX { File::of(length, pieces()).ok() } else { None };
        let bytes = mapped.map_or_else(|| Bytes::Copied(copy(length, pieces())), Bytes::Mapped);
        Image { size: memory.len(), start, bytes, used }
    }

    /// Returns the content of the memory at `range`. [`None`] if only a part of the range is
    /// stored, or if no part is and the range is longer than [`PAGE_MAX`].
    pub(super) fn at(&self, range: Range<usize>) -> Option<&[u8]> {
        let bytes = match &self.bytes {
            Bytes::Copied(bytes) => bytes,
            Bytes::Mapped(file) => file.bytes(),
        };
        if range.end <= self.start || range.start >= self.start + bytes.len() {
            return ZEROS.get(..range.len());
        }
        bytes.get(range.start.checked_sub(self.start)?..range.end - self.start)
    }

    /// Returns the bytes to copy into a new, all-zero memory, each piece with its range there.
    /// Returns none for a mapped image.
    pub(super) fn to_copy(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        let used = self.used.iter().filter(|_| matches!(self.bytes, Bytes::Copied(_)));
        used.filter_map(|range| Some((range.clone(), self.at(range.clone())?)))
    }

    /// Returns the offset in a new memory at which to map the file, and the file; [`None`] for a
    /// copied image.
    pub(super) fn to_map(&self) -> Option<(usize, &File)> {
        match &self.bytes {
            Bytes::Copied(_) => None,
            Bytes::Mapped(file) => Some((self.start, file)),
        }
    }

    /// Returns the maximum memory that the image takes up, in bytes. A zero page of a file counts,
    /// because it takes memory once it is read.
    pub(super) fn bytes(&self) -> usize {
        match &self.bytes {
            Bytes::Copied(_) => self.used.iter().map(Range::len).sum(),
            Bytes::Mapped(file) => file.bytes().len(),
        }
    }
}

/// Returns `length` zero bytes with pieces copied over them, each at its offset. Pages that stay
/// zero take no memory, because they are never written to.
fn copy<'a>(length: usize, pieces: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (start, piece) in pieces {
        let place = bytes.get_mut(start..start + piece.len());
        debug_assert!(place.is_some(), "a piece lies outside of the image");
        if let Some(place) = place {
            place.copy_from_slice(piece);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{COPIED_MAX, Image};

    /// Returns `size` zero bytes in which these ranges are filled with other bytes.
    fn memory(size: usize, places: &[(usize, usize)]) -> Vec<u8> {
        let mut memory = vec![0; size];
        places.iter().for_each(|&(start, end)| memory[start..end].fill(7));
        memory
    }

    #[test]
    fn an_image_equals_the_memory_whether_copied_or_mapped() {
        let page = rustix::param::page_size();
        for places in [
            &[][..],
            &[(0, 1)],
            &[(page - 1, page + 1), (9 * page, 10 * page)],
            &[(70_000, 70_000 + COPIED_MAX)],
            &[(5 * page, 5 * page + 2 * COPIED_MAX), (900_000, 900_001)],
            &[(0, 1 << 20)],
        ] {
            let memory = memory(1 << 20, places);
            let image = Image::of(&memory);
            for (index, bytes) in memory.chunks(page).enumerate() {
                assert_eq!(image.at(index * page..(index + 1) * page), Some(bytes), "{places:?}");
            }
            let mut copied = vec![0; memory.len()];
            image.to_copy().for_each(|(range, bytes)| copied[range].copy_from_slice(bytes));
            match image.to_map() {
                Some((start, file)) => {
                    copied[start..start + file.bytes().len()].copy_from_slice(file.bytes())
                }
                None => assert!(image.bytes() <= COPIED_MAX),
            }
            assert!(copied == memory, "{places:?}");
        }
    }

    #[test]
    fn a_range_that_is_stored_in_part_gives_no_bytes() {
        let page = rustix::param::page_size();
        let image = Image::of(&memory(1 << 20, &[(page, 2 * page)]));
        assert_eq!(image.at(0..2 * page), None);
        assert_eq!(image.at(page..3 * page), None);
    }

    #[test]
    fn the_size_of_an_image_is_what_it_takes_up() {
        let page = rustix::param::page_size();
        assert_eq!(Image::of(&memory(1 << 20, &[])).bytes(), 0);
        assert_eq!(Image::of(&memory(1 << 20, &[(0, 1), (900_000, 900_001)])).bytes(), 2 * page);
        assert_eq!(Image::of(&memory(1 << 20, &[(0, 1), (500_000, 1 << 20)])).bytes(), 1 << 20);
    }
}
