//! Other methods for the same intervals, computed from all values. The chosen method is compared with them.

use analyze::intervals::student;

use super::random::Random;

const LEVEL: f64 = 0.95;
/// Number of resamples of the bootstrap.
const RESAMPLES: usize = 400;
/// Maximum number of blocks from which the bootstrap draws.
const BOOTSTRAP_BLOCKS: usize = 1024;

pub type Ends = (f64, f64);

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// Nonoverlapping batches whose sizes differ by at most one.
fn batches(values: &[f64], number: usize) -> impl Iterator<Item = &[f64]> {
    (0..number).map(move |batch| &values[batch * values.len() / number..(batch + 1) * values.len() / number])
}

fn around(center: f64, squares: f64, number: usize) -> Ends {
    let t = student::two_sided(LEVEL, number as u32 - 1).unwrap_or(f64::NAN);
    let half = t * (squares / (number * (number - 1)) as f64).sqrt();
    (center - half, center + half)
}

/// Batch means with Student's t.
pub fn batch_means(values: &[f64], number: usize) -> Ends {
    let center = mean(values);
    let squares = batches(values, number)
        .map(|batch| (mean(batch) - center).powi(2))
        .sum();
    around(center, squares, number)
}

/// Overlapping batches with the length of one of `number` batches (Meketon and Schmeiser, 1984). Student's t has 3/2 (number -
/// 1) degrees of freedom.
pub fn overlapping_batch_means(values: &[f64], number: usize) -> Ends {
    let (count, length) = (values.len(), values.len() / number);
    let center = mean(values);
    let mut sum: f64 = values[..length].iter().sum();
    let mut squares = 0.0;
    for end in length..=count {
        squares += (sum / length as f64 - center).powi(2);
        if end < count {
            sum += values[end] - values[end - length];
        }
    }
    let (count, length) = (count as f64, length as f64);
    let variance = length * squares / ((count - length + 1.0) * (count - length));
    let t = student::two_sided(LEVEL, 3 * (number as u32 - 1) / 2).unwrap_or(f64::NAN);
    (center - t * variance.sqrt(), center + t * variance.sqrt())
}

/// A circular block bootstrap of the means of short blocks. The ends are percentiles of the resampled means.
pub fn bootstrap(values: &[f64], random: &mut Random) -> Ends {
    let blocks: Vec<f64> = values
        .chunks_exact(values.len().div_ceil(BOOTSTRAP_BLOCKS))
        .map(mean)
        .collect();
    let length = block_length(&blocks);
    let mut sums = vec![0.0];
    for value in blocks.iter().chain(&blocks) {
        sums.push(sums[sums.len() - 1] + value);
    }
    let draws = blocks.len().div_ceil(length);
    let mut means: Vec<f64> = (0..RESAMPLES)
        .map(|_| {
            let drawn = (0..draws).map(|_| {
                let start = (random.uniform() * blocks.len() as f64) as usize;
                sums[start + length] - sums[start]
            });
            drawn.sum::<f64>() / (draws * length) as f64
        })
        .collect();
    means.sort_by(f64::total_cmp);
    let rank = |share: f64| means[(share * RESAMPLES as f64) as usize];
    (rank((1.0 - LEVEL) / 2.0), rank((1.0 + LEVEL) / 2.0))
}

/// The automatic block length of the circular bootstrap (Politis and White, Econometric Reviews 23, 2004).
fn block_length(values: &[f64]) -> usize {
    let count = values.len() as f64;
    let center = mean(values);
    let lags_max = values.len() / 2;
    let covariance = |lag: usize| {
        let pairs = values.iter().zip(&values[lag..]);
        pairs.map(|(a, b)| (a - center) * (b - center)).sum::<f64>() / count
    };
    let variance = covariance(0);
    let insignificant = 2.0 * (count.log10() / count).sqrt();
    let needed = (count.log10().sqrt().ceil() as usize).max(5);
    let mut covariances = vec![variance];
    let mut last = 0;
    for lag in 1..lags_max {
        covariances.push(covariance(lag));
        if covariances[lag].abs() >= insignificant * variance {
            last = lag;
        }
        if lag - last >= needed {
            break;
        }
    }
    let window = (2 * last).max(2).min(lags_max - 1);
    for lag in covariances.len()..=window {
        covariances.push(covariance(lag));
    }
    let (mut weighted, mut spectrum) = (0.0, variance);
    for (lag, covariance) in covariances.iter().enumerate().take(window + 1).skip(1) {
        let place = lag as f64 / window as f64;
        let weight = if place <= 0.5 { 1.0 } else { 2.0 * (1.0 - place) };
        weighted += 2.0 * weight * lag as f64 * covariance;
        spectrum += 2.0 * weight * covariance;
    }
    let length = (1.5 * (weighted / spectrum).powi(2) * count).cbrt();
    let longest = (3.0 * count.sqrt()).min(count / 3.0);
    (length.clamp(1.0, longest).ceil()) as usize
}

/// The value with the rank ceil(q n).
pub fn quantile(sorted: &[f64], q: f64) -> f64 {
    let rank = (q * sorted.len() as f64).ceil() as usize;
    sorted[rank.clamp(1, sorted.len()) - 1]
}

fn quantiles_of_batches(values: &[f64], q: f64, number: usize) -> Vec<f64> {
    batches(values, number)
        .map(|batch| {
            let mut sorted = batch.to_vec();
            sorted.sort_by(f64::total_cmp);
            quantile(&sorted, q)
        })
        .collect()
}

/// The mean of the batches' quantiles with Student's t.
pub fn batch_quantiles(values: &[f64], q: f64, number: usize) -> Ends {
    let quantiles = quantiles_of_batches(values, q, number);
    let center = mean(&quantiles);
    let squares = quantiles.iter().map(|value| (value - center).powi(2)).sum();
    around(center, squares, number)
}

/// Sectioning: like [`batch_quantiles`], but the interval is around the quantile of all values (Nakayama, ACM TOMACS 24, 2014).
pub fn sectioning(values: &[f64], sorted: &[f64], q: f64, number: usize) -> Ends {
    let center = quantile(sorted, q);
    let quantiles = quantiles_of_batches(values, q, number);
    let squares = quantiles.iter().map(|value| (value - center).powi(2)).sum();
    around(center, squares, number)
}

/// Order statistics. Their ranks depend on the effective sample size of the values above the quantile. The upper end is at most
/// the largest value.
pub fn order_statistics(values: &[f64], sorted: &[f64], q: f64, number: usize) -> Ends {
    let border = quantile(sorted, q);
    let exceed: Vec<f64> = values.iter().map(|&value| f64::from(value > border)).collect();
    let (low, high) = batch_means(&exceed, number);
    let half = (high - low) / 2.0;
    (
        quantile(sorted, (q - half).max(0.0)),
        quantile(sorted, (q + half).min(1.0)),
    )
}
