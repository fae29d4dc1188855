//! [`frequent`]: selects the endpoints of a module whose means vote separately.

use std::collections::BTreeMap;

/// Minimum number of requests to an endpoint. With a coefficient of variation of 0.3 between paired times, the interval of the
/// mean is then 1.6% wide on each side, which fits into the margin of 2%.
const REQUESTS_MIN: usize = 1_000;
/// Maximum number of endpoints of one module. 20 endpoints of equal load have a share of 5% each. A change of 40% in one of
/// them exceeds the margin of the module's mean, so more separate means are not needed.
const ENDPOINTS_MAX: usize = 20;

/// The most frequent endpoints, if there are several. They are compared separately, because their changes may cancel out in the
/// mean of the module.
///
/// `counts` has the number of requests to each endpoint; if the runs are not paired, the numbers of the shorter run.
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
