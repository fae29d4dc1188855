//! Standard errors of a regression whose residuals depend on one another and differ in variance.
//!
//! Neighbouring residuals depend on each other. A CPU clock of 10 ms moves time from one interval to the next, and background
//! work can last for several intervals. So the errors are computed from the first cosine transforms of each estimate's
//! influences (equal-weighted cosines), with Student's t. According to the source, their size is more accurate than that of
//! Newey and West's errors with the usual lags. Unlike a bootstrap, the method needs no random numbers. Source: Lazarus, Lewis,
//! Stock and Watson, HAR Inference: Recommendations for Practice, Journal of Business and Economic Statistics 36 (2018).

use std::f64::consts::PI;

use super::least_squares::Matrix;

/// Number of cosine transforms, which is also the number of degrees of freedom: 0.4 n^(2/3), as the source recommends.
pub fn degrees(intervals: usize) -> u32 {
    ((0.4 * (intervals as f64).powf(2.0 / 3.0)) as u32).max(2)
}

/// Standard error of the estimate of each column. `covariance` is the inverse of the normal equations.
pub fn standard_errors(covariance: &Matrix, rows: &[Vec<f64>], residuals: &[f64]) -> Vec<f64> {
    let transforms = degrees(rows.len());
    let columns = covariance.len();
    let mut sums = vec![vec![0.0; columns]; transforms as usize];
    for (number, (row, residual)) in rows.iter().zip(residuals).enumerate() {
        let angle = PI * (number as f64 + 0.5) / rows.len() as f64;
        for (transform, sum) in sums.iter_mut().enumerate() {
            let weight = residual * (angle * (transform + 1) as f64).cos();
            sum.iter_mut()
                .zip(row)
                .for_each(|(sum, value)| *sum += weight * value);
        }
    }
    let variance = |influence: &Vec<f64>| {
        let squares = sums.iter().map(|sum| {
            let transformed: f64 = influence.iter().zip(sum).map(|(left, right)| left * right).sum();
            2.0 * transformed * transformed
        });
        squares.sum::<f64>() / f64::from(transforms)
    };
    // Corrects the residuals, which are too small because one value for each column was estimated from the same data.
    let freedom = rows.len().saturating_sub(columns).max(1);
    let correction = rows.len() as f64 / freedom as f64;
    covariance
        .iter()
        .map(|influence| (variance(influence) * correction).sqrt())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_a_mean_are_those_of_the_textbook() {
        // One column of ones. The variance of the mean of n independent residuals of 1 and -1 is 1 / n, within the noise of 28
        // degrees of freedom.
        let n = 600;
        let rows = vec![vec![1.0]; n];
        let sign = |number: usize| {
            (number as u64 + 1)
                .wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .wrapping_mul(0xbf58_476d_1ce4_e5b9)
                >> 63
        };
        let independent: Vec<f64> = (0..n)
            .map(|number| 1.0 - 2.0 * sign(number * number) as f64)
            .collect();
        let covariance = vec![vec![1.0 / n as f64]];
        let error = standard_errors(&covariance, &rows, &independent)[0];
        let expected = (1.0 / n as f64).sqrt();
        assert!((0.6..1.6).contains(&(error / expected)), "{error} {expected}");
        // Each residual is repeated 8 times, which gives eight times the variance.
        let blocks: Vec<f64> = (0..n).map(|number| independent[number / 8]).collect();
        let ratio = standard_errors(&covariance, &rows, &blocks)[0] / expected;
        assert!((1.7..4.5).contains(&ratio), "{ratio}");
        // Neighbouring residuals cancel each other out, so almost nothing is left.
        let cancelling: Vec<f64> = (0..n)
            .map(|number| if number.is_multiple_of(2) { 1.0 } else { -1.0 })
            .collect();
        assert!(standard_errors(&covariance, &rows, &cancelling)[0] < 0.1 * expected);
    }
}
