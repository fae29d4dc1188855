//! One server, 2 ms of service, Poisson arrivals at 80% of its capacity: queue times against Lindley and Pollaczek–Khinchine.

use std::path::Path;

use super::stack::{Row, Stack};
use super::{Finding, quantile};

/// 2 ms of CPU time each at 80%: the service's own part comes on top, so the measured load is a little higher.
const WORK: &str = "/work?cpu_ms=2";
const RATE: &str = "400";
/// Requests at the start that warm caches and threads.
const WARM_UP: usize = 200;
const DIFFERENCE_MS_MAX: f64 = 1.0;
const MEAN_RATIO: (f64, f64) = (0.85, 1.15);

/// Drives the load for `duration` and compares.
pub fn check(bin_dir: &Path, duration: &str) -> anyhow::Result<Vec<Finding>> {
    let stack = Stack::start(bin_dir, &[("WORKERS", "1"), ("QUEUE_LIMIT", "100000")])?;
    let load = [
        "--endpoint",
        WORK,
        "--rate",
        RATE,
        "--duration",
        duration,
        "--arrivals",
        "poisson",
    ];
    let report = stack.load(bin_dir, &load)?;
    let lateness_ms = report["lateness_ms"]["p99"].as_f64().unwrap_or(f64::NAN);
    let rows = stack.finish("/work")?;
    let rows = rows.get(WARM_UP..).unwrap_or_default();
    let mut differences = lindley_differences(rows);
    let (mean_ms, expected_ms, load) = pollaczek_khinchine(rows);
    let name = format!("{} requests, utilisation {load:.3}", rows.len());
    Ok(vec![
        Finding::note(
            "lateness of the driver's sends, p99",
            &format!("{lateness_ms:.3} ms"),
            "under 1 ms if quiet",
        ),
        Finding::at_most(
            "queue time against one step of Lindley's recursion, p99",
            quantile(&mut differences, 0.99),
            DIFFERENCE_MS_MAX,
            "ms",
        ),
        Finding::between(
            &format!("mean queue time, {name}"),
            mean_ms,
            (expected_ms * MEAN_RATIO.0, expected_ms * MEAN_RATIO.1),
            "ms",
        ),
    ])
}

/// |recorded queue time - max(0, end of the predecessor - own arrival)| of each row but the first, milliseconds.
fn lindley_differences(rows: &[Row]) -> Vec<f64> {
    let step = |pair: &[Row]| {
        let expected = (pair[0].end - pair[1].enqueue).max(0) as f64 / 1e6;
        (pair[1].queue_ms() - expected).abs()
    };
    rows.windows(2).map(step).collect()
}

/// The recorded mean queue time, the one by the formula of Pollaczek and Khinchine from the recorded rate and moments, and
/// the utilisation.
fn pollaczek_khinchine(rows: &[Row]) -> (f64, f64, f64) {
    let count = rows.len() as f64;
    let mean_of = |value: fn(&Row) -> f64| rows.iter().map(value).sum::<f64>() / count;
    let span_ms = match (rows.first(), rows.last()) {
        (Some(first), Some(last)) => (last.enqueue - first.enqueue) as f64 / 1e6,
        _ => f64::NAN,
    };
    let rate_per_ms = (count - 1.0) / span_ms;
    let load = rate_per_ms * mean_of(Row::service_ms);
    let second_moment = mean_of(|row| row.service_ms().powi(2));
    (
        mean_of(Row::queue_ms),
        rate_per_ms * second_moment / (2.0 * (1.0 - load)),
        load,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(enqueue: i128, start: i128, end: i128) -> Row {
        let [enqueue, start, end] = [enqueue, start, end].map(|ms| ms * 1_000_000);
        Row {
            enqueue,
            start,
            end,
            cpu: 0,
            cpu_wait: 0,
            status: 200,
        }
    }

    #[test]
    fn a_first_come_queue_has_no_difference_and_another_has() {
        assert_eq!(
            lindley_differences(&[row(0, 0, 4), row(1, 4, 6), row(9, 9, 10)]),
            [0.0, 0.0]
        );
        assert_eq!(lindley_differences(&[row(0, 0, 4), row(1, 5, 6)]), [1.0]);
    }

    #[test]
    fn constant_service_at_half_load_waits_half_a_service_time() {
        let rows: Vec<Row> = (0..1001).map(|i| row(4 * i, 4 * i, 4 * i + 2)).collect();
        let (mean_ms, expected_ms, load) = pollaczek_khinchine(&rows);
        assert_eq!((mean_ms, expected_ms, load), (0.0, 1.0, 0.5));
    }
}
