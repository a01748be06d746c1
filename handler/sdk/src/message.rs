//! Writes a message piece by piece into a buffer, and measures the message even if the
//! buffer is too short.

/// Message that is written into a buffer piece by piece. Counts its length even if the buffer is
/// too short.
pub(crate) struct Message<'r> {
    room: &'r mut [u8],
    /// Total length of the pieces that were written, in bytes, even if they do not fit into the
    /// buffer.
    length: usize,
}

impl<'r> Message<'r> {
    pub(crate) const fn new(room: &'r mut [u8]) -> Self {
        Message { room, length: 0 }
    }

    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    #[inline(never)]
    pub(crate) fn put(&mut self, piece: &[u8]) {
        let end = self.length + piece.len();
        if let Some(place) = self.room.get_mut(self.length..end) {
            copy(piece, place);
        }
        self.length = end;
    }

    pub(crate) fn put_number(&mut self, number: u32) {
        if number >= 10 {
            self.put_number(number / 10);
        }
        self.put(&[b'0' + (number % 10) as u8]);
    }
}

/// Copies a piece into a slice of equal length. Copies short pieces, such as most pieces of a head,
/// word by word: to execute WebAssembly's instruction `memory.copy`, an engine leaves the module's
/// code, which takes longer.
fn copy(piece: &[u8], place: &mut [u8]) {
    if piece.len() > 32 {
        return place.copy_from_slice(piece);
    }
    // Copying sixteen bytes at once would be compiled to `memory.copy`.
    if let (Some(first), Some(place)) = (piece.first_chunk::<16>(), place.first_chunk_mut::<16>()) {
        copy_ends::<8>(first, place);
    }
    if let (Some(last), Some(place)) = (piece.last_chunk::<16>(), place.last_chunk_mut::<16>()) {
        copy_ends::<8>(last, place);
        return;
    }
    let _ = copy_ends::<8>(piece, place)
        || copy_ends::<4>(piece, place)
        || copy_ends::<2>(piece, place)
        || copy_ends::<1>(piece, place);
}

/// Copies the first `N` and the last `N` bytes of a piece. This copies the whole piece if it has at
/// most `2 * N` bytes. Returns false if the piece is shorter than `N`.
#[inline(always)]
fn copy_ends<const N: usize>(piece: &[u8], place: &mut [u8]) -> bool {
    if let (Some(first), Some(first_place)) = (piece.first_chunk::<N>(), place.first_chunk_mut::<N>()) {
        *first_place = *first;
    }
    let (Some(last), Some(last_place)) = (piece.last_chunk::<N>(), place.last_chunk_mut::<N>()) else {
        return false;
    };
    *last_place = *last;
    true
}
