//! [`sum_in_any_order`]: a sum that does not depend on the names by which its values are ordered.

/// The sum of values that come in the order of names. Rounding depends on the order of additions, so they are sorted first:
/// a run with other names, such as an anonymised one, has the same sum to the last digit.
pub fn sum_in_any_order(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_unstable_by(f64::total_cmp);
    values.into_iter().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_values_does_not_change_the_last_digit() {
        let values = [0.1, 0.2, 0.3, 1e16, -1e16];
        let mut reversed = values;
        reversed.reverse();
        let naive = [values, reversed].map(|values| values.iter().sum::<f64>());
        assert_ne!(naive[0].to_bits(), naive[1].to_bits());
        let sums = [values, reversed].map(|values| sum_in_any_order(values).to_bits());
        assert_eq!(sums[0], sums[1]);
    }
}
