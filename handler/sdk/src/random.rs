//! Random bytes. They come from a seed that the host draws for each request from the
//! system's generator, and records with a request that failed.

use crate::export;

/// Fills a buffer with random bytes, fit for keys and tokens.
///
/// Only a module that uses this has the import `host.random`. It can be used while a
/// request is handled, not under `prepare`: all requests would start from the same
/// bytes, so the version is rejected.
///
/// In native tests, the bytes come from the keys of the standard library's hasher.
///
/// ```
/// let mut token = [0; 16];
/// handler_sdk::fill_random(&mut token);
/// assert_ne!(token, [0; 16]);
/// ```
pub fn fill_random(room: &mut [u8]) {
    for piece in room.chunks_mut(8) {
        let bytes = export::random().to_le_bytes();
        piece.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }
}

#[cfg(test)]
mod tests {
    use super::fill_random;

    #[test]
    fn every_byte_is_drawn() {
        for length in [1, 7, 8, 9, 33] {
            let mut changed = [false; 33];
            for _ in 0..64 {
                let mut room = [0; 33];
                fill_random(&mut room[..length]);
                changed.iter_mut().zip(room).for_each(|(changed, byte)| *changed |= byte != 0);
            }
            let drawn = changed.iter().filter(|changed| **changed).count();
            assert_eq!(drawn, length);
        }
    }
}
