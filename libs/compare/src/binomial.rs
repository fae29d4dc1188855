//! [`clopper_pearson`]: an exact confidence interval for the probability of an event, from a count of events.

/// Number of bisections of the interval from 0 to 1. The remaining interval is smaller than the precision of a double.
const HALVINGS: u32 = 60;

/// The interval of Clopper and Pearson (Biometrika 26, 1934) for the probability of an event that occurred `events` times in
/// `trials` independent trials. `level` is the confidence level, such as 0.95; the interval contains the true probability at
/// least this often. `None` without trials, or with more events than trials. The computing time grows with `trials`.
///
/// A tail of the distribution is a finite sum, which a bisection inverts (as in [`analyze::intervals::student`]). This is short
/// enough to need no crate of distributions.
pub fn clopper_pearson(events: u64, trials: u64, level: f64) -> Option<[f64; 2]> {
    if trials == 0 || events > trials {
        return None;
    }
    let beyond = (1.0 - level) / 2.0;
    let low = match events {
        0 => 0.0,
        // The probability at which this many events or more are just unlikely enough.
        _ => root(|p| 1.0 - at_most(events - 1, trials, p) < beyond),
    };
    let high = match events {
        all if all == trials => 1.0,
        _ => root(|p| at_most(events, trials, p) > beyond),
    };
    Some([low, high])
}

/// Finds the point up to which `is_below` holds.
fn root(is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, 1.0);
    for _ in 0..HALVINGS {
        let middle = f64::midpoint(low, high);
        match is_below(middle) {
            true => low = middle,
            false => high = middle,
        }
    }
    f64::midpoint(low, high)
}

/// Probability of at most `events` events. The terms are computed as logarithms, because the first one can be smaller than the
/// smallest double.
fn at_most(events: u64, trials: u64, p: f64) -> f64 {
    let odds = p.ln() - (-p).ln_1p();
    let mut term = trials as f64 * (-p).ln_1p();
    let mut sum = term.exp();
    for event in 1..=events {
        term += ((trials - event + 1) as f64 / event as f64).ln() + odds;
        sum += term.exp();
    }
    sum.min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the exact tails of the binomial distribution, summed in decimals of 60 digits.
    const EXACT: [(u64, u64, f64, f64); 6] = [
        (0, 40, 0.0, 0.088_097_302_878_802_4),
        (1, 40, 0.000_632_744_932_049_419, 0.131_585_858_482_765_74),
        (5, 10, 0.187_086_028_447_398_52, 0.812_913_971_552_601_5),
        (10, 100, 0.049_004_689_221_485_96, 0.176_222_597_740_022_7),
        (40, 40, 0.911_902_697_121_197_6, 1.0),
        (3, 1000, 0.000_619_099_931_649_571_3, 0.008_742_023_238_478_303),
    ];

    #[test]
    fn the_ends_are_those_of_the_exact_distribution() {
        for (events, trials, low, high) in EXACT {
            let found = clopper_pearson(events, trials, 0.95).unwrap();
            for (found, exact) in found.into_iter().zip([low, high]) {
                assert!(
                    (found - exact).abs() < 1e-10,
                    "{events} of {trials}: {found} {exact}"
                );
            }
        }
    }

    #[test]
    fn many_trials_neither_underflow_nor_leave_the_range() {
        // The interval by the normal distribution: 0.5 ± 1.96 * 0.5 / sqrt(4096).
        let [low, high] = clopper_pearson(2048, 4096, 0.95).unwrap();
        assert!(
            (low - 0.4847).abs() < 2e-4 && (high - 0.5153).abs() < 2e-4,
            "{low} {high}"
        );
        let [low, high] = clopper_pearson(4095, 4096, 0.95).unwrap();
        assert!(
            low < 4095.0 / 4096.0 && high > 4095.0 / 4096.0 && high < 1.0,
            "{low} {high}"
        );
        assert_eq!(clopper_pearson(0, 0, 0.95), None);
        assert_eq!(clopper_pearson(2, 1, 0.95), None);
    }
}
