//! Seeded generator of pseudorandom numbers for tests.

/// Marsaglia's xorshift generator with 64 bits of state.
pub(crate) struct Xorshift(u64);

impl Xorshift {
    /// Creates a generator from a seed, which must not be 0.
    pub(crate) fn new(seed: u64) -> Xorshift {
        Xorshift(seed)
    }

    /// Returns a random number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % end
    }

    /// Returns one of these values, chosen at random.
    pub(crate) fn pick<T: Copy>(&mut self, values: &[T]) -> T {
        values[self.below(values.len())]
    }
}
