//! Pseudo-random numbers, which are the same in every run.

/// A xorshift64 generator.
pub struct Random(u64);

impl Random {
    /// Creates a generator from a seed, which must not be 0.
    pub fn new(seed: u64) -> Random {
        Random(seed)
    }

    /// Returns a number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % end as u64) as usize
    }
}
