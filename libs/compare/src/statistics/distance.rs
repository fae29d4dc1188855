//! Distances and resemblances of two series, which are shown and do not vote.

/// The distance of Kolmogorov and Smirnov: the largest difference between the shares of values up to any limit. Both series
/// must be sorted. `None` if a series is empty.
pub fn kolmogorov_smirnov(a: &[f64], b: &[f64]) -> Option<f64> {
    if a.is_empty() || b.is_empty() {
        return None;
    }
    let (mut left, mut right, mut largest) = (0, 0, 0.0_f64);
    while left < a.len() && right < b.len() {
        let limit = a[left].min(b[right]);
        while a.get(left).is_some_and(|value| *value <= limit) {
            left += 1;
        }
        while b.get(right).is_some_and(|value| *value <= limit) {
            right += 1;
        }
        let difference = left as f64 / a.len() as f64 - right as f64 / b.len() as f64;
        largest = largest.max(difference.abs());
    }
    Some(largest)
}

/// Pearson's correlation. `None` if a series is constant.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let count = a.len().min(b.len()) as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let (mut products, mut squares_a, mut squares_b) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        products += (a - mean_a) * (b - mean_b);
        squares_a += (a - mean_a).powi(2);
        squares_b += (b - mean_b).powi(2);
    }
    let scale = (squares_a * squares_b).sqrt();
    (scale > 0.0).then(|| products / scale)
}

/// The symmetric mean absolute error: the mean of `|a - b| / ((a + b) / 2)`, as a share. Pairs of zeros are ignored.
pub fn smape(a: &[f64], b: &[f64]) -> Option<f64> {
    let (mut sum, mut count) = (0.0, 0_u32);
    for (a, b) in a.iter().zip(b).filter(|(a, b)| **a + **b > 0.0) {
        sum += (a - b).abs() / ((a + b) / 2.0);
        count += 1;
    }
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_those_of_small_examples() {
        assert_eq!(
            kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]),
            Some(0.0)
        );
        assert_eq!(
            kolmogorov_smirnov(&[1.0, 2.0, 3.0, 4.0], &[3.0, 4.0, 5.0, 6.0]),
            Some(0.5)
        );
        assert_eq!(kolmogorov_smirnov(&[1.0, 1.0], &[2.0]), Some(1.0));
        assert_eq!(kolmogorov_smirnov(&[], &[2.0]), None);
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]), Some(1.0));
        assert_eq!(correlation(&[1.0, 2.0, 3.0], &[2.0, 2.0, 2.0]), None);
        assert_eq!(smape(&[1.0, 0.0], &[3.0, 0.0]), Some(1.0));
        assert_eq!(smape(&[0.0], &[0.0]), None);
    }
}
