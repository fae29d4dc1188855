//! [`fewest`]: a lower bound for a number of successes, for tests of coverage.

/// A number of successes in `runs` trials. The probability of fewer successes is at most 0.001.
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
