//! [`LinkStats`]: propagation delay and bandwidth of the path between two nodes, estimated from the calls between them.

use std::collections::BTreeMap;

use cctf_proto::cctf::{Link, LinkMetric, LinkSource, Milliseconds, Stage};
use serde::{Deserialize, Serialize};

/// Maximum number of calls kept for the fit. Beyond it, each further call replaces a kept one, chosen by its number.
pub const SAMPLES_MAX: usize = 4096;
/// Maximum number of network times kept for one second.
const SECOND_SAMPLES_MAX: usize = 4096;
/// Number of groups of calls by size. The fit uses the fastest calls of each.
const GROUPS: usize = 12;
/// Minimum number of calls for the fit, and minimum ratio of the 90th percentile of their sizes to the 10th.
const FIT_SAMPLES_MIN: usize = 48;
const FIT_SIZE_RATIO_MIN: f64 = 4.0;
/// The fraction of a group's calls that the fit uses: the fastest ones, because these did not wait in queues.
const FAST_QUANTILE: f64 = 0.1;

const NANOS_PER_SECOND: f64 = 1e9;
const NANOS_A_SECOND: u64 = 1_000_000_000;

/// Calls in one second.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Second {
    /// Journal time at which the first call was added.
    pub opened_at: u64,
    /// Number of calls.
    pub calls: u64,
    /// Bytes that the caller sent; `None` while no call reported any.
    pub sent: Option<u64>,
    /// Bytes that the caller received.
    pub received: Option<u64>,
    /// Network times, nanoseconds.
    pub net_ns: Vec<i64>,
    /// The time of one call in this many is kept; 0 means every call.
    #[serde(skip)]
    stride: u64,
}

/// Calls from one node to another.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct LinkStats {
    calls: u64,
    /// For each kept call: its size as [`LinkCall::bytes`] returns it, and its network time in nanoseconds.
    samples: Vec<(Option<u64>, i64)>,
    least_net_ns: Option<i64>,
    /// Seconds that are not written yet. The key is the second in which the calls ended.
    pub seconds: BTreeMap<u64, Second>,
}

/// Properties of a path, estimated from calls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// One-way propagation, seconds.
    pub propagation_s: f64,
    /// Bits a second.
    pub bandwidth_bps: Option<f64>,
    /// Median distance of the fast calls from the fit, ms.
    pub fit_error_ms: Option<f64>,
    /// 99th percentile minus median of the network time, seconds.
    pub jitter_s: f64,
    /// Number of all calls. The fit uses only the kept ones.
    pub samples: u64,
}

/// One call.
#[derive(Debug, Clone, Copy)]
pub struct LinkCall {
    /// Network time, nanoseconds.
    pub net_ns: i64,
    /// Bytes that the caller sent.
    pub sent: Option<u64>,
    /// Bytes that the caller received.
    pub received: Option<u64>,
    /// Whether the network time includes the time for the sent bytes. This is not so if the callee's span starts when the
    /// headers have arrived.
    pub sent_counts: bool,
    /// The call's end, nanoseconds since the Unix epoch.
    pub end_unix_ns: u64,
}

impl LinkCall {
    /// Bytes both ways that the network time includes; `None` if they were not reported.
    pub fn bytes(&self) -> Option<u64> {
        let sent = if self.sent_counts { self.sent } else { Some(0) };
        Some(sent?.saturating_add(self.received?))
    }
}

impl Second {
    /// Adds a call. Calls must come in the order of their network times. When more than `samples_max` times are kept, every other
    /// one is dropped, which preserves the quantiles.
    pub fn add(&mut self, call: &LinkCall, samples_max: usize) {
        let stride = self.stride.max(1);
        if self.calls.is_multiple_of(stride) {
            self.net_ns.push(call.net_ns);
        }
        self.add_bytes(call);
        if self.net_ns.len() > samples_max {
            let mut at = 0;
            self.net_ns.retain(|_| {
                at += 1;
                at % 2 == 1
            });
            self.stride = 2 * stride;
        }
    }

    fn add_bytes(&mut self, call: &LinkCall) {
        self.calls += 1;
        self.sent = add_known(self.sent, call.sent);
        self.received = add_known(self.received, call.received);
    }
}

impl LinkStats {
    /// Size in memory, bytes.
    pub fn bytes(&self) -> u64 {
        let seconds = self.seconds.values().map(|second| second.net_ns.len() * 8 + 128);
        (self.samples.len() * 24 + seconds.sum::<usize>() + 128) as u64
    }

    /// Adds a call to the kept calls, even beyond [`SAMPLES_MAX`]. The call is not added to a second.
    pub fn add_sample(&mut self, bytes: Option<u64>, net_ns: i64) {
        self.samples.push((bytes, net_ns));
        self.count(1, net_ns);
    }

    /// Counts calls without keeping them. `least_net_ns` is the least of their network times.
    pub fn count(&mut self, calls: u64, least_net_ns: i64) {
        self.calls += calls;
        let least = self.least_net_ns;
        self.least_net_ns = Some(least.map_or(least_net_ns, |least| least.min(least_net_ns)));
    }

    pub fn add(&mut self, call: &LinkCall, now: u64) {
        let bytes = call.bytes();
        if self.samples.len() < SAMPLES_MAX {
            self.samples.push((bytes, call.net_ns));
        } else {
            // Knuth's multiplicative hash spreads the replaced indices evenly. It is deterministic, so the same input gives the
            // same sample.
            let place = (self.calls.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40) as usize % SAMPLES_MAX;
            self.samples[place] = (bytes, call.net_ns);
        }
        self.count(1, call.net_ns);
        let second = self.seconds.entry(call.end_unix_ns / NANOS_A_SECOND).or_default();
        if second.calls == 0 {
            second.opened_at = now;
        }
        second.add_bytes(call);
        if second.net_ns.len() < SECOND_SAMPLES_MAX {
            second.net_ns.push(call.net_ns);
        }
    }

    /// Removes and returns the seconds that were opened at `opened_before` or earlier.
    pub fn take_seconds(&mut self, opened_before: u64) -> Vec<(u64, Second)> {
        let due: Vec<u64> = self
            .seconds
            .iter()
            .filter(|(_, second)| second.opened_at <= opened_before)
            .map(|(at, _)| *at)
            .collect();
        due.into_iter()
            .filter_map(|at| self.seconds.remove(&at).map(|second| (at, second)))
            .collect()
    }

    /// Fits net = 2 PR + 8 bytes / BW if the sizes of the calls vary enough. Otherwise, PR is half the minimum network time, and
    /// BW is unknown.
    pub fn estimate(&self) -> Option<Estimate> {
        let least = self.least_net_ns?;
        let mut nets: Vec<i64> = self.samples.iter().map(|(_, net)| *net).collect();
        nets.sort_unstable();
        let jitter = quantile(&nets, 0.99) - quantile(&nets, 0.5);
        let mut estimate = Estimate {
            propagation_s: least as f64 / 2.0 / NANOS_PER_SECOND,
            bandwidth_bps: None,
            fit_error_ms: None,
            jitter_s: jitter as f64 / NANOS_PER_SECOND,
            samples: self.calls,
        };
        if let Some((intercept, slope, error)) = self.fit() {
            estimate.propagation_s = intercept / 2.0 / NANOS_PER_SECOND;
            estimate.bandwidth_bps = Some(8.0 * NANOS_PER_SECOND / slope);
            estimate.fit_error_ms = Some(error / 1e6);
        }
        Some(estimate)
    }

    /// Intercept (ns), slope (ns a byte) and median error (ns) of the Theil-Sen line: the median of the slopes of all pairs.
    /// It uses the fastest calls of each size group, which queueing and a busy host do not affect.
    fn fit(&self) -> Option<(f64, f64, f64)> {
        let mut sized: Vec<(u64, i64)> = self
            .samples
            .iter()
            .filter_map(|(bytes, net)| Some(((*bytes)?, *net)))
            .collect();
        if sized.len() < FIT_SAMPLES_MIN {
            return None;
        }
        sized.sort_unstable();
        let (small, large) = (sized[sized.len() / 10].0, sized[sized.len() * 9 / 10].0);
        if (large as f64) < FIT_SIZE_RATIO_MIN * small.max(1) as f64 {
            return None;
        }
        let points: Vec<(f64, f64)> = sized
            .chunks(sized.len().div_ceil(GROUPS))
            .flat_map(fast_end)
            .collect();
        let mut slopes: Vec<f64> = Vec::new();
        for (at, left) in points.iter().enumerate() {
            slopes.extend(
                points[at + 1..]
                    .iter()
                    .filter(|right| right.0 > left.0)
                    .map(|right| (right.1 - left.1) / (right.0 - left.0)),
            );
        }
        let slope = median(&mut slopes)?;
        let intercept = median(
            &mut points
                .iter()
                .map(|(bytes, net)| net - slope * bytes)
                .collect::<Vec<_>>(),
        )?;
        let error = median(
            &mut points
                .iter()
                .map(|(bytes, net)| (net - intercept - slope * bytes).abs())
                .collect::<Vec<_>>(),
        )?;
        (slope > 0.0 && intercept >= 0.0).then_some((intercept, slope, error))
    }
}

/// The row of links.json for the calls from `u` to `v`; `None` while there are none.
pub fn estimated_row<'a>(u: &'a str, v: &'a str, stats: &LinkStats) -> Option<Link<'a>> {
    let estimate = stats.estimate()?;
    Some(Link {
        u: u.into(),
        v: v.into(),
        BW_bps: estimate.bandwidth_bps,
        PR_s: Some(estimate.propagation_s),
        src: LinkSource::Estimated,
        jitter_s: Some(estimate.jitter_s),
        samples: Some(estimate.samples),
        iface: None,
        fit_error_ms: estimate.fit_error_ms,
    })
}

/// The row of link_metrics.jsonl for the calls from one node to another in one second since the Unix epoch.
pub fn second_row<'a>(
    (from, stage): (&'a str, Stage),
    link: &'a str,
    second: u64,
    mut calls: Second,
) -> LinkMetric<'a> {
    calls.net_ns.sort_unstable();
    let net = |fraction| Some(Milliseconds::from_ns(quantile(&calls.net_ns, fraction)));
    LinkMetric {
        ts_ms: Milliseconds::from_ns((second * NANOS_A_SECOND) as i64),
        node: from.into(),
        stage,
        link: link.into(),
        rx_Bps: calls.received.map(|bytes| bytes as f64),
        tx_Bps: calls.sent.map(|bytes| bytes as f64),
        iface: None,
        interval_ms: Some(Milliseconds::from_ns(NANOS_A_SECOND as i64)),
        errors: None,
        dropped: None,
        calls: Some(calls.calls),
        net_ms_min: net(0.0),
        net_ms_p50: net(0.5),
        net_ms_p99: net(0.99),
    }
}

/// The fastest tenth of a size group, but at least one call. Sizes within a group differ little, so their effect is ignored.
fn fast_end(group: &[(u64, i64)]) -> Vec<(f64, f64)> {
    let mut by_net: Vec<(i64, u64)> = group.iter().map(|&(bytes, net)| (net, bytes)).collect();
    by_net.sort_unstable();
    let keep = ((group.len() as f64 * FAST_QUANTILE).ceil() as usize).max(1);
    by_net[..keep]
        .iter()
        .map(|&(net, bytes)| (bytes as f64, net as f64))
        .collect()
}

fn add_known(sum: Option<u64>, more: Option<u64>) -> Option<u64> {
    match (sum, more) {
        (Some(sum), Some(more)) => Some(sum.saturating_add(more)),
        (sum, more) => sum.or(more),
    }
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}

/// The nearest-rank quantile of sorted values; zero if there are none.
pub fn quantile(sorted: &[i64], fraction: f64) -> i64 {
    let rank = (sorted.len() as f64 * fraction).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(net_ns: i64, sent: u64) -> LinkCall {
        LinkCall {
            net_ns,
            sent: Some(sent),
            received: Some(0),
            sent_counts: true,
            end_unix_ns: 5_000_000_000,
        }
    }

    #[test]
    fn calls_of_many_sizes_give_delay_and_bandwidth() {
        let mut stats = LinkStats::default();
        for number in 0..2000_u64 {
            let bytes = 1000 + number * 97 % 200_000;
            // 10 ms round trip, 50 Mbit/s, and occasional waits that have other causes than the link.
            let noise = if number % 3 == 0 {
                7_000_000
            } else {
                (number % 7 * 10_000) as i64
            };
            stats.add(&call(10_000_000 + (bytes * 160) as i64 + noise, bytes), 0);
        }
        let estimate = stats.estimate().unwrap();
        assert!((estimate.propagation_s - 0.005).abs() < 0.0005, "{estimate:?}");
        assert!(
            (estimate.bandwidth_bps.unwrap() - 50e6).abs() < 5e6,
            "{estimate:?}"
        );
    }

    #[test]
    fn calls_of_one_size_give_the_delay_alone() {
        let mut stats = LinkStats::default();
        for number in 0..100 {
            stats.add(&call(2_000_000 + number, 8192), 0);
        }
        let estimate = stats.estimate().unwrap();
        assert_eq!(estimate.propagation_s, 0.001);
        assert_eq!(estimate.bandwidth_bps, None);
    }

    #[test]
    fn bytes_sent_before_the_callee_s_span_do_not_affect_the_bandwidth() {
        let mut stats = LinkStats::default();
        for number in 0..100_u64 {
            let sized = LinkCall {
                sent_counts: false,
                ..call(2_000_000, 1000 * number)
            };
            stats.add(&sized, 0);
        }
        let estimate = stats.estimate().unwrap();
        assert_eq!((estimate.propagation_s, estimate.bandwidth_bps), (0.001, None));
    }

    #[test]
    fn a_second_is_handed_out_once_and_counts_unknown_bytes_as_unknown() {
        let mut stats = LinkStats::default();
        let silent = LinkCall {
            sent: None,
            received: None,
            ..call(5, 0)
        };
        stats.add(&silent, 7);
        stats.add(&call(9, 100), 8);
        assert!(stats.take_seconds(6).is_empty());
        let seconds = stats.take_seconds(7);
        assert_eq!(seconds.len(), 1);
        let (at, second) = &seconds[0];
        assert_eq!((*at, second.calls), (5, 2));
        assert_eq!((second.sent, second.received), (Some(100), Some(0)));
        assert!(stats.take_seconds(u64::MAX).is_empty());
    }

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        let sorted = [1, 2, 3, 4];
        for (fraction, value) in [(0.0, 1), (0.25, 1), (0.5, 2), (0.51, 3), (0.99, 4), (1.0, 4)] {
            assert_eq!(quantile(&sorted, fraction), value, "{fraction}");
        }
        assert_eq!(quantile(&[], 0.5), 0);
    }
}
