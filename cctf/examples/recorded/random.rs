//! [`Random`]: random numbers that are the same in each run.

/// A hash of the number. Different numbers have different hashes.
pub fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ mixed >> 31
}

/// SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed << 40)
    }

    pub fn number(&mut self) -> u64 {
        self.0 += 1;
        mixed(self.0)
    }

    /// A number between 0 and 1. It is never 0 or 1.
    pub fn fraction(&mut self) -> f64 {
        ((self.number() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.number() % end
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.fraction().ln()
    }

    /// A lognormal random number. `deviation` is the standard deviation of its logarithm.
    pub fn lognormal(&mut self, median: f64, deviation: f64) -> f64 {
        // The method of Box and Muller.
        let radius = (-2.0 * self.fraction().ln()).sqrt();
        let normal = radius * (std::f64::consts::TAU * self.fraction()).cos();
        median * (deviation * normal).exp()
    }

    /// A random index. An index with a larger weight is more probable.
    pub fn weighted(&mut self, weights: impl Iterator<Item = u64> + Clone) -> usize {
        let mut left = self.below(weights.clone().sum());
        let mut index = 0;
        for weight in weights {
            if left < weight {
                break;
            }
            left -= weight;
            index += 1;
        }
        index
    }
}
