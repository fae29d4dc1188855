//! [`solve`]: turns the intervals into weighted equations, and returns the estimates that these allow.
//!
//! The variance of the CPU time grows with the length of an interval, so each equation is divided by the root of its length.

use super::errors::{degrees, standard_errors};
use super::interval::{GAP, Interval};
use super::least_squares::{Matrix, inverse, non_negative};
use super::result::{Endpoint, Estimate, NoEstimate, NoRegression, Regression};
use crate::intervals::student::two_sided;

const LEVEL: f64 = 0.95;
/// Minimum number of intervals, in total and for each unknown.
const INTERVALS_MIN: usize = 60;
const INTERVALS_PER_UNKNOWN_MIN: usize = 5;
/// Minimum number of intervals with requests to an endpoint.
const BUSY_INTERVALS_MIN: usize = 20;
/// Maximum variance inflation (Marquardt, Technometrics 12, 1970). At 10, only a tenth of the variance of an endpoint's count
/// is independent of the other counts. Beyond it, systematic errors are amplified, too, such as requests that count in a
/// neighbouring interval. Confidence intervals do not show such errors.
const INFLATION_MAX: f64 = 10.0;
/// Maximum half width of the interval, as a share of the estimate. With a larger maximum, poor designs would mostly yield
/// estimates that are too large by chance.
const HALF_WIDTH_MAX: f64 = 0.25;
/// Half width that is always accepted, in seconds: 0.05 ms.
const HALF_WIDTH_FINE_S: f64 = 5e-5;
/// Added to each diagonal element of the scaled normal equations, so that they have a solution even if columns depend on each
/// other. The variance inflation of such columns is then huge. Other estimates change by less than one part in a million.
const RIDGE: f64 = 1e-9;

/// The equations. Columns are scaled so that the squares of each column add up to 1.
struct Design {
    /// The endpoint of each column. The last column has none: it is the idle cost.
    endpoints: Vec<usize>,
    rows: Vec<Vec<f64>>,
    targets: Vec<f64>,
    /// The divisor of each column.
    scales: Vec<f64>,
    /// Sum of each column's counts.
    sums: Vec<f64>,
    /// For each column, the number of intervals with requests.
    busy: Vec<usize>,
}

/// Estimates the CPU time of each endpoint. `requests` has the total number of requests to each endpoint.
pub(super) fn solve(intervals: &[Interval], requests: &[u64]) -> Result<Regression, NoRegression> {
    let intervals = without_gaps(intervals);
    let design = Design::new(&intervals, requests.len());
    let unknowns = design.scales.len();
    let needed = INTERVALS_MIN.max(INTERVALS_PER_UNKNOWN_MIN * unknowns);
    if intervals.len() < needed {
        return Err(NoRegression::TooShort {
            intervals: intervals.len(),
            needed,
        });
    }
    let total: f64 = intervals.iter().map(|interval| interval.cpu_s).sum();
    if total <= 0.0 {
        return Err(NoRegression::NoCpu);
    }
    let (normal, moments) = design.normal();
    let covariance = inverse(&normal);
    let free: Vec<f64> = covariance.iter().map(|row| dot(row, &moments)).collect();
    let scaled = non_negative(&normal, &moments);
    let residuals: Vec<f64> = design.residuals(&free);
    let errors = standard_errors(&covariance, &design.rows, &residuals);
    let half = two_sided(LEVEL, degrees(intervals.len())).unwrap_or(f64::INFINITY);
    let mut endpoints: Vec<Endpoint> = requests
        .iter()
        .map(|&requests| Endpoint {
            requests,
            cpu: Err(NoEstimate::NoRequests),
        })
        .collect();
    for (column, &endpoint) in design.endpoints.iter().enumerate() {
        let inflation = design.inflation(column, &normal, &covariance);
        let scale = design.scales[column];
        let estimate = estimate(
            scaled[column] / scale,
            free[column] / scale,
            half * errors[column] / scale,
        );
        endpoints[endpoint].cpu = judge(estimate, inflation, design.busy[column]);
    }
    let means: Vec<f64> = scaled
        .iter()
        .zip(&design.scales)
        .map(|(value, scale)| value / scale)
        .collect();
    let idle = means[unknowns - 1];
    let of_requests = dot(&means[..unknowns - 1], &design.sums[..unknowns - 1]);
    Ok(Regression {
        intervals: intervals.len(),
        r_squared: design.r_squared(&scaled),
        share_of_requests: (of_requests / total).min(1.0),
        idle,
        endpoints,
    })
}

/// Removes intervals that are much longer than most.
fn without_gaps(intervals: &[Interval]) -> Vec<&Interval> {
    let mut periods: Vec<f64> = intervals.iter().map(Interval::period).collect();
    periods.sort_by(f64::total_cmp);
    let median = periods.get(periods.len() / 2).copied().unwrap_or(0.0);
    let is_usual = |interval: &&Interval| interval.period() < GAP * median;
    intervals.iter().filter(is_usual).collect()
}

/// The estimate with its interval. The interval is that of the solution without the bound at 0, because its distribution is
/// known; a solution at the bound has no such distribution. Negative values are impossible, so the interval is cut at 0. It
/// always contains the estimate.
fn estimate(mean: f64, free: f64, half_width: f64) -> Estimate {
    Estimate {
        mean,
        low: (free - half_width).min(mean).max(0.0),
        high: (free + half_width).max(mean),
        half_width,
    }
}

fn judge(estimate: Estimate, inflation: f64, busy: usize) -> Result<Estimate, NoEstimate> {
    if busy < BUSY_INTERVALS_MIN {
        return Err(NoEstimate::TooFew {
            intervals: busy,
            needed: BUSY_INTERVALS_MIN,
        });
    }
    if !inflation.is_finite() || inflation > INFLATION_MAX {
        return Err(NoEstimate::InStep { inflation });
    }
    let half_width = (estimate.high - estimate.low) / 2.0;
    match half_width <= (HALF_WIDTH_MAX * estimate.mean).max(HALF_WIDTH_FINE_S) {
        true => Ok(estimate),
        false => Err(NoEstimate::TooWide(estimate)),
    }
}

impl Design {
    fn new(intervals: &[&Interval], endpoints: usize) -> Self {
        let count =
            |interval: &Interval, endpoint: usize| interval.requests.get(endpoint).copied().unwrap_or(0.0);
        let busy_of = |endpoint: usize| {
            intervals
                .iter()
                .filter(|interval| count(interval, endpoint) > 0.0)
                .count()
        };
        let with_requests: Vec<(usize, usize)> = (0..endpoints)
            .map(|endpoint| (endpoint, busy_of(endpoint)))
            .filter(|(_, busy)| *busy > 0)
            .collect();
        let columns = with_requests.len() + 1;
        let (mut rows, mut targets) = (Vec::new(), Vec::new());
        let (mut squares, mut sums) = (vec![0.0; columns], vec![0.0; columns]);
        for interval in intervals {
            let seconds = interval.seconds();
            let counts = with_requests
                .iter()
                .map(|&(endpoint, _)| count(interval, endpoint));
            let mut row: Vec<f64> = counts.chain([seconds]).collect();
            for (column, value) in row.iter_mut().enumerate() {
                sums[column] += *value;
                *value /= seconds.sqrt();
                squares[column] += *value * *value;
            }
            rows.push(row);
            targets.push(interval.cpu_s / seconds.sqrt());
        }
        let scales: Vec<f64> = squares.iter().map(|square| f64::sqrt(*square)).collect();
        for row in &mut rows {
            row.iter_mut()
                .zip(&scales)
                .for_each(|(value, scale)| *value /= scale);
        }
        Self {
            endpoints: with_requests.iter().map(|&(endpoint, _)| endpoint).collect(),
            rows,
            targets,
            scales,
            sums,
            busy: with_requests.iter().map(|&(_, busy)| busy).collect(),
        }
    }

    /// The normal equations: the matrix and the right-hand side.
    fn normal(&self) -> (Matrix, Vec<f64>) {
        let columns = self.scales.len();
        let (mut matrix, mut moments) = (vec![vec![0.0; columns]; columns], vec![0.0; columns]);
        for (row, target) in self.rows.iter().zip(&self.targets) {
            for (column, value) in row.iter().enumerate() {
                moments[column] += value * target;
                for (sum, other) in matrix[column].iter_mut().zip(row) {
                    *sum += value * other;
                }
            }
        }
        for (column, row) in matrix.iter_mut().enumerate() {
            row[column] += RIDGE;
        }
        (matrix, moments)
    }

    fn residuals(&self, solution: &[f64]) -> Vec<f64> {
        let pairs = self.rows.iter().zip(&self.targets);
        pairs.map(|(row, target)| target - dot(row, solution)).collect()
    }

    /// Variance inflation: the factor by which the variance of the estimate would be smaller if the other counts were constant.
    fn inflation(&self, column: usize, normal: &Matrix, covariance: &Matrix) -> f64 {
        let idle = self.scales.len() - 1;
        let own = normal[column][column] - normal[column][idle].powi(2) / normal[idle][idle];
        own.max(0.0) * covariance[column][column]
    }

    /// R squared in comparison with a constant rate of CPU time.
    fn r_squared(&self, solution: &[f64]) -> f64 {
        let idle = self.scales.len() - 1;
        let roots = || self.rows.iter().map(|row| row[idle]);
        let rate = roots()
            .zip(&self.targets)
            .map(|(root, target)| root * target)
            .sum::<f64>();
        let around = roots()
            .zip(&self.targets)
            .map(|(root, target)| (target - root * rate).powi(2));
        let around: f64 = around.sum();
        let left: f64 = self
            .residuals(solution)
            .iter()
            .map(|residual| residual * residual)
            .sum();
        if around > 0.0 {
            (1.0 - left / around).clamp(0.0, 1.0)
        } else {
            0.0
        }
    }
}

fn dot(left: &[f64], right: &[f64]) -> f64 {
    left.iter().zip(right).map(|(left, right)| left * right).sum()
}
