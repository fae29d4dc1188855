//! [`sum_in_any_order`]: a sum of values that does not depend on the order in which they come.

/// The sum of the values. Rounding depends on the order of additions, so the values are sorted first. Values often come in the
/// order of names; with this function, a run with other names, such as an anonymised one, has exactly the same sum.
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
