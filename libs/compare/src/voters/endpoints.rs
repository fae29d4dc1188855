//! [`frequent`]: the endpoints of a module that have a mean of their own.

use std::collections::BTreeMap;

/// An endpoint needs this many requests: with a coefficient of variation of 0.3 between paired times, the interval of their mean
/// is then 1.6 % wide on each side, which is inside the margin of 2 %.
const REQUESTS_MIN: usize = 1_000;
/// Maximum number of endpoints of one module: 20 equal ones have a share of 5 % each, and a change of 40 % in one of them is
/// outside the margin of the module's mean.
const ENDPOINTS_MAX: usize = 20;

/// The most frequent endpoints, if there are several. Their changes may cancel in the mean of the module.
///
/// `counts` has the requests of all endpoints, those of the shorter run if the runs are not paired.
pub fn frequent(counts: &BTreeMap<u32, usize>) -> Vec<u32> {
    if counts.len() < 2 {
        return Vec::new();
    }
    let many = counts.iter().filter(|(_, count)| **count >= REQUESTS_MIN);
    let mut found: Vec<u32> = many.map(|(endpoint, _)| *endpoint).collect();
    found.sort_by_key(|endpoint| (std::cmp::Reverse(counts[endpoint]), *endpoint));
    found.truncate(ENDPOINTS_MAX);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_most_frequent_of_several_endpoints_have_a_mean() {
        assert!(frequent(&BTreeMap::from([(1, 5_000)])).is_empty());
        let counts = BTreeMap::from([(1, 5_000), (2, 999), (3, 1_000), (4, 6_000)]);
        assert_eq!(frequent(&counts), [4, 1, 3]);
        let many: BTreeMap<u32, usize> = (0..50).map(|endpoint| (endpoint, 2_000)).collect();
        assert_eq!(frequent(&many).len(), ENDPOINTS_MAX);
    }
}
