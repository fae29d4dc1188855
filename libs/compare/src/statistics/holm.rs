//! [`levels`]: the levels of many simultaneous tests, chosen so that the probability of any false result stays below a given
//! level.

/// The level at which each test is decided by Holm's procedure (Scandinavian Journal of Statistics 6, 1979). The smallest
/// p-value is tested at `level / n`, the next one at `level / (n - 1)`, and so on. As soon as one is not significant, all
/// larger ones are not significant either.
///
/// The result has the level of each test and whether it is significant.
pub fn levels(p_values: &[f64], level: f64) -> Vec<(f64, bool)> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&left, &right| p_values[left].total_cmp(&p_values[right]));
    let mut found = vec![(level, false); p_values.len()];
    let (mut is_significant, mut stopped_at) = (true, level);
    for (place, &test) in order.iter().enumerate() {
        if is_significant {
            stopped_at = level / (p_values.len() - place) as f64;
            is_significant = p_values[test] <= stopped_at;
        }
        found[test] = (stopped_at, is_significant);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_grow_until_one_test_is_not_significant() {
        // The example of Holm's procedure at 0.05 with four tests: 0.0125, 0.0167, and then the third one fails at 0.025.
        let found = levels(&[0.01, 0.04, 0.03, 0.005], 0.05);
        let significant: Vec<bool> = found.iter().map(|(_, is_significant)| *is_significant).collect();
        assert_eq!(significant, [true, false, false, true]);
        assert_eq!(found[3].0, 0.0125);
        assert!((found[0].0 - 0.05 / 3.0).abs() < 1e-15);
        assert_eq!((found[1].0, found[2].0), (0.025, 0.025));
        assert!(levels(&[], 0.05).is_empty());
    }
}
