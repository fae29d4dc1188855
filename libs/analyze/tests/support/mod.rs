//! Waits of a stationary M/M/1 queue and their exact figures, for tests and for the example that measures coverage.

/// SplitMix64 (Steele, Lea and Flood, 2014). It is written here so that a seed gives the same waits with every version of a crate.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        bits ^ (bits >> 31)
    }

    /// Between 0 and 1, both excluded.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 12) as f64 + 0.5) / (1_u64 << 52) as f64
    }

    pub fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.uniform().ln()
    }
}

/// Waits at utilization `rho`, in mean service times. The first one has the stationary distribution.
pub fn waits(random: &mut Random, rho: f64, number: usize) -> Vec<f64> {
    let is_busy = random.uniform() < rho;
    let mut wait = if is_busy {
        random.exponential(1.0 / (1.0 - rho))
    } else {
        0.0
    };
    let mut waits = Vec::with_capacity(number);
    for _ in 0..number {
        waits.push(wait);
        let service = random.exponential(1.0);
        wait = (wait + service - random.exponential(1.0 / rho)).max(0.0);
    }
    waits
}

pub fn mean_wait(rho: f64) -> f64 {
    rho / (1.0 - rho)
}

/// The wait that a share `q` of all waits does not exceed.
pub fn quantile_of_waits(rho: f64, q: f64) -> f64 {
    // The margin is for rounding: at rho 0.5 the median is 0.
    let ratio = rho / (1.0 - q);
    if ratio > 1.0 + 1e-9 {
        ratio.ln() / (1.0 - rho)
    } else {
        0.0
    }
}

/// Relaxation times of `number` arrivals.
pub fn relaxations(rho: f64, number: usize) -> f64 {
    number as f64 / rho * (1.0 - rho.sqrt()).powi(2)
}

/// The fewest of `runs` successes that chance gives in more than one of a thousand trials.
pub fn fewest(runs: u32, probability: f64) -> u32 {
    let mut exactly = (1.0 - probability).powi(runs as i32);
    let mut at_most = exactly;
    let mut successes = 0;
    while at_most < 0.001 {
        exactly *= f64::from(runs - successes) / f64::from(successes + 1) * probability / (1.0 - probability);
        successes += 1;
        at_most += exactly;
    }
    successes
}
