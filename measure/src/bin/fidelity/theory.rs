//! Queueing theory of a first-come queue with one server, applied to the recorded arrivals, services and wake-ups.

use super::stack::Row;

/// How the recursion treats wake-ups (the time from a free slot to the thread's start on a CPU).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wakeups {
    /// Wake-ups are not part of the recursion, so each one shows as a difference.
    Ignored,
    /// The recursion adds the recorded wake-up.
    Added,
}

/// Absolute difference between the recorded queue time and one step of Lindley's recursion, for each row except the first,
/// milliseconds. The step is max(0, end of the predecessor - own arrival).
pub fn lindley_differences(rows: &[Row], wakeups: Wakeups) -> Vec<f64> {
    let step = |pair: &[Row]| {
        let waited = (pair[0].end - pair[1].enqueue).max(0) as f64 / 1e6;
        let expected = match wakeups {
            Wakeups::Ignored => waited,
            Wakeups::Added => waited + pair[1].wakeup_ms(),
        };
        (pair[1].queue_ms() - expected).abs()
    };
    rows.windows(2).map(step).collect()
}

/// Recorded and expected mean of the queue time.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Recorded mean queue time, milliseconds.
    pub recorded_ms: f64,
    /// Mean according to Pollaczek and Khinchine, computed from the recorded rate and moments of the service time,
    /// milliseconds.
    pub expected_ms: f64,
    /// Part that wake-ups add for requests that find the server idle (M/G/1 with setup times), milliseconds.
    pub setup_ms: f64,
    /// Utilisation.
    pub load: f64,
}

impl Means {
    /// Computes the means of rows in the order of their arrival.
    pub fn of(rows: &[Row]) -> Self {
        let span_ms = match (rows.first(), rows.last()) {
            (Some(first), Some(last)) => (last.enqueue - first.enqueue) as f64 / 1e6,
            _ => f64::NAN,
        };
        let rate_per_ms = (rows.len() as f64 - 1.0) / span_ms;
        let service: Vec<f64> = rows.iter().map(Row::service_ms).collect();
        let (mean, square) = moments(&service);
        let load = rate_per_ms * mean;
        let found_idle = rows.windows(2).filter(|pair| pair[0].end <= pair[1].enqueue);
        let wakeups: Vec<f64> = found_idle.map(|pair| pair[1].wakeup_ms()).collect();
        let (wakeup, wakeup_square) = moments(&wakeups);
        let setup = (2.0 * wakeup + rate_per_ms * wakeup_square) / (2.0 * (1.0 + rate_per_ms * wakeup));
        Self {
            recorded_ms: rows.iter().map(Row::queue_ms).sum::<f64>() / rows.len() as f64,
            expected_ms: rate_per_ms * square / (2.0 * (1.0 - load)),
            // If no request found the server idle, there was no wake-up.
            setup_ms: if wakeups.is_empty() { 0.0 } else { setup },
            load,
        }
    }
}

/// Mean and mean square.
fn moments(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let sum: f64 = values.iter().sum();
    let squares: f64 = values.iter().map(|value| value * value).sum();
    (sum / count, squares / count)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(enqueue: i128, start: i128, end: i128, wakeup: i128) -> Row {
        let [enqueue, start, end, wakeup] = [enqueue, start, end, wakeup].map(|ms| ms * 1_000_000);
        Row {
            enqueue,
            start,
            end,
            wakeup,
            cpu: 0,
            cpu_wait: 0,
            status: 200,
        }
    }

    #[test]
    fn a_first_come_queue_has_no_difference_and_another_has() {
        let first_come = [row(0, 0, 4, 0), row(1, 4, 6, 0), row(9, 9, 10, 0)];
        assert_eq!(lindley_differences(&first_come, Wakeups::Ignored), [0.0, 0.0]);
        let late = [row(0, 0, 4, 0), row(1, 5, 6, 0)];
        assert_eq!(lindley_differences(&late, Wakeups::Ignored), [1.0]);
    }

    #[test]
    fn a_recorded_wakeup_explains_a_late_start() {
        let rows = [row(0, 0, 4, 0), row(1, 5, 6, 1), row(9, 12, 13, 3)];
        assert_eq!(lindley_differences(&rows, Wakeups::Ignored), [1.0, 3.0]);
        assert_eq!(lindley_differences(&rows, Wakeups::Added), [0.0, 0.0]);
    }

    #[test]
    fn the_expected_mean_is_that_of_the_formula() {
        // One arrival every 4 ms, 2 ms of service each: rate 1/4, second moment 4, load 1/2.
        let rows: Vec<Row> = (0..5).map(|i| row(4 * i, 4 * i, 4 * i + 2, 0)).collect();
        let means = Means::of(&rows);
        assert_eq!((means.recorded_ms, means.load), (0.0, 0.5));
        assert!((means.expected_ms - 1.0).abs() < 1e-12, "{means:?}");
        assert!(means.setup_ms.abs() < 1e-12, "{means:?}");
    }

    #[test]
    fn set_up_times_add_what_the_formula_says() {
        // The same, and each request finds the server idle and waits 1 ms: (2 + 1/4) / (2 (1 + 1/4)) = 0.9.
        let rows: Vec<Row> = (0..5).map(|i| row(4 * i, 4 * i + 1, 4 * i + 3, 1)).collect();
        let means = Means::of(&rows);
        assert_eq!(means.recorded_ms, 1.0);
        assert!((means.setup_ms - 0.9).abs() < 1e-12, "{means:?}");
    }
}
