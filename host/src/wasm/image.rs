//! What a memory holds just after `_initialize`, and how an instance gets it. A
//! small image is copied. A large one lies in a file in memory, and is mapped over
//! the memory of each instance: a page is copied when it is first written to.
//!
//! Under a mapped image lies a memory as wasmtime's pool gives it to a module
//! without data, zero all over, and that is what comes back when the instance
//! goes.

use std::ops::Range;

use super::mapped::File;

/// Bytes that are not zero, in whole pages, up to which an image is copied: to copy
/// them takes about as long as to map them.
const COPIED_MAX: usize = 128 << 10;

/// As long as the pages of any system get.
const PAGE_MAX: usize = 65_536;

static ZEROS: [u8; PAGE_MAX] = [0; PAGE_MAX];

/// What a memory held at some moment.
pub(super) struct Image {
    /// The memory's size in bytes.
    pub(super) size: usize,
    /// Where the first page that is not zero begins.
    start: usize,
    /// From there to the end of the last such page.
    bytes: Bytes,
    /// The stretches of pages that are not zero.
    used: Vec<Range<usize>>,
}

enum Bytes {
    Copied(Vec<u8>),
    Mapped(File),
}

impl Image {
    /// Of a memory that holds this.
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
        let pieces =
            || used.iter().filter_map(|range| Some((range.start - start, memory.get(range.clone())?)));
        // Where there are no such files, all images are copied.
        let mapped = if total > COPIED_MAX { File::of(length, pieces()).ok() } else { None };
        let bytes = mapped.map_or_else(|| Bytes::Copied(copy(length, pieces())), Bytes::Mapped);
        Image { size: memory.len(), start, bytes, used }
    }

    /// What stood in one page, or in a part of it.
    /// [`None`] for a range that is longer than a page, or that the stored bytes
    /// cover only in part.
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

    /// What is to be written to a memory that is zero all over, unless the image is
    /// mapped.
    pub(super) fn to_copy(&self) -> impl Iterator<Item = (Range<usize>, &[u8])> {
        let bytes = match &self.bytes {
            Bytes::Copied(bytes) => Some(bytes),
            Bytes::Mapped(_) => None,
        };
        bytes.into_iter().flat_map(|bytes| {
            self.used.iter().filter_map(|range| {
                let at = range.start - self.start..range.end - self.start;
                Some((range.clone(), bytes.get(at)?))
            })
        })
    }

    /// The file that is to be mapped, and where to.
    pub(super) fn to_map(&self) -> Option<(usize, &File)> {
        match &self.bytes {
            Bytes::Copied(_) => None,
            Bytes::Mapped(file) => Some((self.start, file)),
        }
    }

    /// The most memory that it takes up, in bytes. A page of a file takes some as
    /// soon as it is read, even if it is zero.
    pub(super) fn bytes(&self) -> usize {
        match &self.bytes {
            Bytes::Copied(_) => self.used.iter().map(Range::len).sum(),
            Bytes::Mapped(file) => file.bytes().len(),
        }
    }
}

/// Bytes that are zero but for these pieces. Pages that are zero take no memory.
fn copy<'a>(length: usize, pieces: impl Iterator<Item = (usize, &'a [u8])>) -> Vec<u8> {
    let mut bytes = vec![0; length];
    for (start, piece) in pieces {
        if let Some(place) = bytes.get_mut(start..start + piece.len()) {
            place.copy_from_slice(piece);
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::{COPIED_MAX, Image};

    /// A memory that is zero but for these bytes.
    fn memory(size: usize, places: &[(usize, usize)]) -> Vec<u8> {
        let mut memory = vec![0; size];
        places.iter().for_each(|&(start, end)| memory[start..end].fill(7));
        memory
    }

    #[test]
    fn an_image_is_what_the_memory_was_whether_it_is_copied_or_mapped() {
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
    fn a_range_that_the_image_holds_in_part_gives_nothing_rather_than_wrong_bytes() {
        let page = rustix::param::page_size();
        let image = Image::of(&memory(1 << 20, &[(page, 2 * page)]));
        assert_eq!(image.at(0..2 * page), None);
        assert_eq!(image.at(page..3 * page), None);
    }

    #[test]
    fn an_image_is_counted_with_what_it_takes_up() {
        let page = rustix::param::page_size();
        assert_eq!(Image::of(&memory(1 << 20, &[])).bytes(), 0);
        assert_eq!(Image::of(&memory(1 << 20, &[(0, 1), (900_000, 900_001)])).bytes(), 2 * page);
        assert_eq!(Image::of(&memory(1 << 20, &[(0, 1), (500_000, 1 << 20)])).bytes(), 1 << 20);
    }
}
