//! A random generator whose output for a seed never changes, so that schedules and bodies can be repeated years later.

/// SplitMix64 (Steele, Lea, Flood 2014): the whole state is one counter.
#[derive(Debug, Clone)]
pub struct SplitMix64 {
    state: u64,
}

/// The odd constant by which the counter advances (2^64 divided by the golden ratio).
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

impl SplitMix64 {
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// The next number in (0, 1], with 53 random bits. Zero is excluded so that its logarithm is finite.
    pub fn next_unit(&mut self) -> f64 {
        ((self.next_u64() >> 11) + 1) as f64 / (1u64 << 53) as f64
    }
}

/// Output `index` of a generator seeded with `seed`, computed directly. Different indexes give different outputs.
pub fn at(seed: u64, index: u64) -> u64 {
    mix(seed.wrapping_add(GOLDEN_GAMMA.wrapping_mul(index.wrapping_add(1))))
}

/// A bijection of 64 bits, so that different indexes give different outputs.
fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_sequence_for_seed_1234567_comes_out() {
        let mut random = SplitMix64::new(1_234_567);
        let first = [random.next_u64(), random.next_u64(), random.next_u64()];
        assert_eq!(
            first,
            [
                6_457_827_717_110_365_317,
                3_203_168_211_198_807_973,
                9_817_491_932_198_370_423
            ]
        );
        assert_eq!([at(1_234_567, 0), at(1_234_567, 1), at(1_234_567, 2)], first);
    }

    #[test]
    fn units_are_never_zero_and_never_above_one() {
        let mut random = SplitMix64::new(0);
        assert!(
            (0..10_000)
                .map(|_| random.next_unit())
                .all(|unit| unit > 0.0 && unit <= 1.0)
        );
    }
}
