//! Random bits of a component, which follow from the seed of the request, so that a recorded
//! request can be replayed exactly.

use sha2::{Digest, Sha256};
use wasmtime::component::HasData;
use wasmtime::{Result, bail};
use wasmtime_wasi::p2::bindings::random::{insecure, insecure_seed, random};

/// Maximum number of random bytes that a component can draw in one call of the host.
pub const RANDOM_MAX: usize = 64 << 10;

/// Length of a SHA-256 in bytes.
const BLOCK: usize = 32;

/// Generator of the random bits of one store. Each block is the SHA-256 of the seed and a counter.
pub(super) struct Random {
    /// Seed of the request; [`None`] if the system's random generator failed.
    seed: Option<[u8; 32]>,
    hashes: u64,
    block: [u8; BLOCK],
    /// Number of bytes at the end of `block` that were not drawn yet.
    left: usize,
}

/// Tells the linker that the implementation of these interfaces is [`Random`].
pub(super) struct Has;

impl HasData for Has {
    type Data<'a> = &'a mut Random;
}

impl Random {
    /// Creates the generator for a request with this seed.
    pub(super) fn new(seed: Option<[u8; 32]>) -> Random {
        Random { seed, hashes: 0, block: [0; BLOCK], left: 0 }
    }

    fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        let length = usize::try_from(length).ok().filter(|length| *length <= RANDOM_MAX);
        let Some(length) = length else {
            bail!("it asked for more than {RANDOM_MAX} random bytes at a time (this limit is fixed)");
        };
        let mut bytes = vec![0; length];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn number(&mut self) -> Result<u64> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<()> {
        let Some(seed) = self.seed else {
            bail!("the system's generator of random bits has failed");
        };
        for byte in bytes {
            if self.left == 0 {
                let count = self.hashes.to_le_bytes();
                self.block = Sha256::new().chain_update(seed).chain_update(count).finalize().into();
                (self.hashes, self.left) = (self.hashes + 1, BLOCK);
            }
            *byte = self.block.get(BLOCK - self.left).copied().unwrap_or_default();
            self.left -= 1;
        }
        Ok(())
    }
}

impl random::Host for Random {
    fn get_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.bytes(length)
    }

    fn get_random_u64(&mut self) -> Result<u64> {
        self.number()
    }
}

impl insecure::Host for Random {
    fn get_insecure_random_bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.bytes(length)
    }

    fn get_insecure_random_u64(&mut self) -> Result<u64> {
        self.number()
    }
}

impl insecure_seed::Host for Random {
    fn insecure_seed(&mut self) -> Result<(u64, u64)> {
        Ok((self.number()?, self.number()?))
    }
}

#[cfg(test)]
mod tests {
    use super::{RANDOM_MAX, Random};

    #[test]
    fn bits_follow_from_the_seed_however_they_are_drawn() {
        let all = |seed| Random::new(Some([seed; 32])).bytes(100).unwrap();
        assert_eq!(all(1), all(1));
        assert_ne!(all(1), all(2));
        let mut pieces = Random::new(Some([1; 32]));
        let drawn: Vec<u8> =
            [0, 1, 31, 33, 35].iter().flat_map(|&length| pieces.bytes(length).unwrap()).collect();
        assert_eq!(drawn, all(1));
        assert_ne!(pieces.number().unwrap(), pieces.number().unwrap());
    }

    #[test]
    fn too_many_at_a_time_and_a_missing_seed_are_errors() {
        let mut random = Random::new(Some([1; 32]));
        assert!(random.bytes(RANDOM_MAX as u64).is_ok());
        assert!(random.bytes(RANDOM_MAX as u64 + 1).is_err() && random.bytes(u64::MAX).is_err());
        assert!(Random::new(None).number().is_err());
    }
}
