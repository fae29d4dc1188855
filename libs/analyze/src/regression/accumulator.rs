//! [`Accumulator`]: the sampling intervals of one process, with the number of requests to each endpoint in them.

use super::interval::Interval;
use super::result::{NoRegression, Regression};

/// Maximum number of endpoints that are estimated separately. Requests to further ones count for [`OTHER`].
pub const ENDPOINTS_MAX: usize = 32;
/// The endpoint that stands for all endpoints beyond the maximum.
pub const OTHER: usize = ENDPOINTS_MAX;
/// Maximum number of intervals. When it is reached, neighbours are merged. With all endpoints, the state takes 1.1 MB.
pub const INTERVALS_MAX: usize = 4_096;
/// Maximum number of requests that wait for the first sample after their end, of 24 bytes each. For further requests, the part
/// after the last sample is lost.
const WAITING_MAX: usize = 16_384;
/// Maximum share of samples that are below the previous one. Restarts are rare, so a value that decreases often is not a
/// cumulative counter.
const DECREASES_MAX: f64 = 0.1;

#[derive(Debug, Clone, Copy)]
struct Request {
    endpoint: usize,
    start: i64,
    end: i64,
}

/// Samples and requests of one process. Samples must come in order of time; requests may come in any order before the result is
/// computed.
#[derive(Debug, Default)]
pub struct Accumulator {
    intervals: Vec<Interval>,
    /// Time and value of the last sample.
    last: Option<(i64, f64)>,
    /// Number of sampling intervals that are merged into one interval.
    stride: u32,
    waiting: Vec<Request>,
    /// Number of requests to each endpoint.
    requests: Vec<u64>,
    samples: u64,
    decreases: u64,
}

impl Accumulator {
    /// Adds a sample of the cumulative CPU time, in seconds. A sample without progress in time, or without a finite value, is
    /// ignored. A value below the previous one shows a restart of the process, which starts a new interval.
    pub fn add_sample(&mut self, at_ns: i64, cpu_s: f64) {
        if !cpu_s.is_finite() || cpu_s < 0.0 {
            return;
        }
        let Some((begin, before)) = self.last else {
            self.last = Some((at_ns, cpu_s));
            return;
        };
        if at_ns <= begin {
            return;
        }
        self.last = Some((at_ns, cpu_s));
        self.samples += 1;
        if cpu_s < before {
            self.decreases += 1;
            return;
        }
        self.push(Interval {
            begin,
            end: at_ns,
            cpu_s: cpu_s - before,
            requests: Vec::new(),
            samples: 1,
        });
        for request in std::mem::take(&mut self.waiting) {
            match request.end > at_ns {
                true => self.waiting.push(request),
                false => self.place(request),
            }
        }
    }

    /// Forgets the last sample, so that no interval begins with it.
    pub fn restart(&mut self) {
        self.last = None;
    }

    /// Adds a request with its start and end of processing.
    pub fn add_request(&mut self, endpoint: usize, start_ns: i64, end_ns: i64) {
        let endpoint = endpoint.min(OTHER);
        if self.requests.len() <= endpoint {
            self.requests.resize(endpoint + 1, 0);
        }
        self.requests[endpoint] += 1;
        let request = Request {
            endpoint,
            start: start_ns,
            end: end_ns.max(start_ns),
        };
        let is_early = self.last.is_none_or(|(at, _)| request.end > at);
        if is_early && self.waiting.len() < WAITING_MAX {
            self.waiting.push(request);
        } else {
            self.place(request);
        }
    }

    /// Number of requests by endpoint.
    pub fn requests(&self) -> &[u64] {
        &self.requests
    }

    /// Estimates the CPU time of a request at each endpoint.
    ///
    /// # Errors
    /// If there are too few samples, or the CPU time does not increase.
    pub fn finish(mut self) -> Result<Regression, NoRegression> {
        for request in std::mem::take(&mut self.waiting) {
            self.place(request);
        }
        if self.decreases as f64 > DECREASES_MAX * self.samples as f64 {
            return Err(NoRegression::NotCumulative);
        }
        super::design::solve(&self.intervals, &self.requests)
    }

    fn push(&mut self, interval: Interval) {
        let stride = self.stride.max(1);
        if let Some(last) = self.intervals.last_mut()
            && last.samples < stride
            && last.precedes(&interval)
        {
            last.extend(&interval);
            return;
        }
        if self.intervals.len() >= INTERVALS_MAX {
            self.stride = stride * 2;
            self.merge();
        }
        // If intervals cannot be merged because of restarts or gaps, there may still be no room. Then this interval is dropped.
        if self.intervals.len() < INTERVALS_MAX {
            self.intervals.push(interval);
        }
    }

    /// Merges neighbouring intervals up to the stride.
    fn merge(&mut self) {
        let stride = self.stride;
        self.intervals.dedup_by(|next, kept| {
            let fits = kept.samples + next.samples <= stride && kept.precedes(next);
            if fits {
                kept.extend(next);
            }
            fits
        });
    }

    /// Adds a request to all intervals that it overlaps. It counts in each interval with the share of its time there.
    fn place(&mut self, request: Request) {
        let Request { endpoint, start, end } = request;
        let first = self.intervals.partition_point(|interval| interval.end <= start);
        for interval in &mut self.intervals[first..] {
            let (from, to) = (interval.begin.max(start), interval.end.min(end));
            let share = match end.saturating_sub(start) {
                0 if interval.begin <= start => 1.0,
                0 => break,
                _ if to <= from => break,
                length => to.saturating_sub(from) as f64 / length as f64,
            };
            if interval.requests.len() <= endpoint {
                interval.requests.resize(endpoint + 1, 0.0);
            }
            interval.requests[endpoint] += share;
            if interval.end >= end {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: i64 = 1_000_000_000;

    fn requests(accumulator: &Accumulator) -> Vec<Vec<f64>> {
        let intervals = accumulator.intervals.iter();
        intervals.map(|interval| interval.requests.clone()).collect()
    }

    #[test]
    fn a_request_is_split_by_the_share_of_its_time() {
        let mut process = Accumulator::default();
        process.add_request(1, S / 2, 3 * S);
        process.add_request(0, 4 * S, 4 * S);
        for second in 0..4 {
            process.add_sample(second * S, 0.1 * second as f64);
        }
        process.add_request(0, S, S);
        process.add_request(0, -S, 0);
        assert_eq!(
            requests(&process),
            [vec![0.0, 0.2], vec![1.0, 0.4], vec![0.0, 0.4]]
        );
        assert_eq!(process.requests, [3, 1]);
    }

    #[test]
    fn a_restart_and_a_sample_out_of_order_leave_no_interval() {
        let mut process = Accumulator::default();
        let samples = [
            (0, 5.0),
            (1, 6.0),
            (1, 7.0),
            (0, 9.0),
            (2, 0.5),
            (3, 0.75),
            (4, f64::NAN),
            (5, -1.0),
        ];
        for (second, cpu_s) in samples {
            process.add_sample(second * S, cpu_s);
        }
        let found = process
            .intervals
            .iter()
            .map(|interval| (interval.begin / S, interval.cpu_s));
        assert_eq!(found.collect::<Vec<_>>(), [(0, 1.0), (2, 0.25)]);
        assert_eq!(process.decreases, 1);
    }

    #[test]
    fn memory_is_bounded_and_nothing_is_lost() {
        let mut process = Accumulator::default();
        let seconds = 3 * INTERVALS_MAX as i64;
        for second in 0..=seconds {
            process.add_sample(second * S, second as f64);
            process.add_request(2, second * S + 1, second * S + 2);
            process.add_request(ENDPOINTS_MAX + 7, second * S, second * S + S);
        }
        assert!(process.intervals.len() <= INTERVALS_MAX);
        let cpu: f64 = process.intervals.iter().map(|interval| interval.cpu_s).sum();
        let of_two: f64 = requests(&process).iter().map(|row| row[2]).sum();
        let of_other: f64 = requests(&process).iter().map(|row| row[OTHER]).sum();
        assert_eq!(
            (cpu, of_two, of_other),
            (seconds as f64, seconds as f64, seconds as f64)
        );
    }
}
