//! Random bytes. The host derives them from a seed, which it draws from the system's generator for
//! each request. The host records the seed of a request that failed.

#[cfg(not(target_arch = "wasm32"))]
use crate::native::random;
#[cfg(target_arch = "wasm32")]
use wasm::random;

/// Fills a buffer with random bytes, fit for keys and tokens.
///
/// Only a module that uses this function has the import `host.random`. Call this function only
/// while a request is handled. The host rejects a version that draws random bytes while it starts,
/// as in a [`State`](crate::State) that [`export!`](crate::export!) prepares, because all requests
/// would get equal bytes.
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
        let bytes = random().to_le_bytes();
        piece.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    }
}

#[cfg(target_arch = "wasm32")]
#[allow(unsafe_code, reason = "imports are unsafe to declare, and getrandom hands over an address")]
mod wasm {
    /// Returns 64 random bits from the host.
    pub(super) fn random() -> u64 {
        // The names are those of `abi::HOST` and `abi::RANDOM`; attributes take no
        // constants.
        #[link(wasm_import_module = "host")]
        unsafe extern "C" {
            safe fn random() -> u64;
        }
        random()
    }

    /// Fills a buffer for the crate getrandom. The name and type of this function are those
    /// that the crate declares for its custom backend.
    ///
    /// # Safety
    ///
    /// `length` bytes at `start` can be written to.
    #[cfg(feature = "getrandom")]
    #[unsafe(no_mangle)]
    unsafe extern "Rust" fn __getrandom_v03_custom(
        start: *mut u8,
        length: usize,
    ) -> Result<(), getrandom::Error> {
        // SAFETY: the caller guarantees that the bytes can be written to. They get a value
        // first, because a slice must not be made of bytes without one.
        let room = unsafe {
            core::ptr::write_bytes(start, 0, length);
            core::slice::from_raw_parts_mut(start, length)
        };
        super::fill_random(room);
        Ok(())
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
