//! [`Summary`]: the figures of one stream, which is the load of an endpoint or a replay. They are rates, lateness, latencies,
//! statuses, errors and bytes, as a table and as JSON.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use crate::exchange::{Exchange, Failure, LATE_NS};
use crate::record::changes::{Changes, StatusChanges};
use crate::record::distribution::Distribution;

/// Maximum number of different error texts; all further ones count as `other`.
const ERRORS_MAX: usize = 20;
const OTHER_ERRORS: &str = "other";
const NS_PER_S: f64 = 1e9;

#[derive(Debug)]
pub struct SummaryBuilder {
    lateness_ns: Distribution,
    /// Requests later than [`LATE_NS`].
    late: u64,
    latency_ns: Distribution,
    successes: u64,
    changes: StatusChanges,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    bytes_in: u64,
    bytes_out: u64,
    first_sent_ns: u64,
    last_sent_ns: u64,
    last_end_ns: u64,
    sent: u64,
    resends: u64,
    /// Number of requests counted by [`SummaryBuilder::record_refused`].
    refused: u64,
}

impl Default for SummaryBuilder {
    fn default() -> Self {
        Self {
            lateness_ns: Distribution::new(),
            late: 0,
            latency_ns: Distribution::new(),
            successes: 0,
            changes: StatusChanges::default(),
            statuses: BTreeMap::new(),
            errors: BTreeMap::new(),
            bytes_in: 0,
            bytes_out: 0,
            first_sent_ns: u64::MAX,
            last_sent_ns: 0,
            last_end_ns: 0,
            sent: 0,
            resends: 0,
            refused: 0,
        }
    }
}

impl SummaryBuilder {
    /// Counts one exchange.
    pub fn record(&mut self, exchange: &Exchange) {
        let lateness_ns = exchange.sent.lateness_ns();
        self.lateness_ns.record(lateness_ns);
        self.late += u64::from(lateness_ns > LATE_NS);
        self.changes.record(exchange);
        if exchange.left() {
            self.latency_ns.record(exchange.latency_ns);
            self.sent += 1;
            self.first_sent_ns = self.first_sent_ns.min(exchange.sent.monotonic_ns);
            self.last_sent_ns = self.last_sent_ns.max(exchange.sent.monotonic_ns);
        }
        self.last_end_ns = self
            .last_end_ns
            .max(exchange.sent.monotonic_ns.saturating_add(exchange.latency_ns));
        self.successes += u64::from(exchange.is_success());
        self.bytes_in += exchange.body_bytes_in;
        self.bytes_out += exchange.body_bytes_out;
        self.resends += u64::from(exchange.resends);
        *self.statuses.entry(exchange.status).or_default() += 1;
        if !exchange.is_success() {
            self.count_errors(exchange.error_text(), 1);
        }
    }

    /// Counts requests that were refused because too many were waiting. Nothing else is known about them.
    pub fn record_refused(&mut self, count: u64) {
        if count > 0 {
            self.refused += count;
            *self.statuses.entry(0).or_default() += count;
            self.count_errors(Failure::QueueFull.to_string(), count);
        }
    }

    fn count_errors(&mut self, text: String, count: u64) {
        let known = self.errors.contains_key(&text) || self.errors.len() < ERRORS_MAX;
        *self
            .errors
            .entry(if known { text } else { OTHER_ERRORS.to_owned() })
            .or_default() += count;
    }

    pub fn requests(&self) -> u64 {
        self.lateness_ns.count() + self.refused
    }

    /// The figures of the exchanges, combined with facts of the stream.
    pub fn build(&self, context: StreamContext) -> Summary {
        let requests = self.requests();
        let (lateness, latency) = (&self.lateness_ns, &self.latency_ns);
        let sending_ns = self.last_sent_ns.saturating_sub(self.first_sent_ns);
        Summary {
            rate_asked: context.rate,
            // There are n - 1 intervals between n requests.
            rate_reached: if self.sent < 2 || sending_ns == 0 {
                self.sent as f64
            } else {
                (self.sent - 1) as f64 / (sending_ns as f64 / NS_PER_S)
            },
            requests,
            unsent: requests.saturating_sub(self.sent),
            duration_s: self
                .last_end_ns
                .saturating_sub(self.first_sent_ns.min(self.last_end_ns)) as f64
                / NS_PER_S,
            lateness_ms: Lateness {
                p50: lateness.quantile_ms(0.5),
                p99: lateness.quantile_ms(0.99),
                max: lateness.max_ms(),
            },
            latency_ms: Latency {
                min: latency.min_ms(),
                mean: latency.mean_ms(),
                p50: latency.quantile_ms(0.5),
                p90: latency.quantile_ms(0.9),
                p95: latency.quantile_ms(0.95),
                p99: latency.quantile_ms(0.99),
                max: latency.max_ms(),
            },
            late_ratio: ratio(self.late, requests),
            success_ratio: ratio(self.successes, requests),
            changes: self.changes.build(),
            statuses: self
                .statuses
                .iter()
                .map(|(status, count)| (status.to_string(), *count))
                .collect(),
            errors: self.errors.clone(),
            bytes_in: self.bytes_in,
            bytes_out: self.bytes_out,
            resends: self.resends,
            bounded_by: context.bounded_by,
            driver_cpu_cores: context.driver_cpu_cores,
            endpoint: context.endpoint,
            url: context.url,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Facts of a stream that its exchanges do not contain.
#[derive(Debug, Clone)]
pub struct StreamContext {
    pub endpoint: String,
    pub url: String,
    /// Requested rate, requests per second. `None` for recorded times.
    pub rate: Option<f64>,
    /// CPU time of the driver divided by the time of the stream.
    pub driver_cpu_cores: f64,
    /// The reason why there were fewer connections than requested.
    pub bounded_by: Option<String>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    /// Name of the stream: the endpoint, or `replay`.
    pub endpoint: String,
    pub url: String,
    /// Requested rate, requests per second. `None` for recorded times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_asked: Option<f64>,
    /// Requests per second between the first and the last send.
    pub rate_reached: f64,
    /// Requests that were due, whether sent or not.
    pub requests: u64,
    /// Requests that no server received: no connection was possible, none was free in time, or too many requests waited for one.
    pub unsent: u64,
    /// From the first send until the last request has ended, with or without a response, seconds.
    pub duration_s: f64,
    /// Time from scheduled time to send, milliseconds.
    pub lateness_ms: Lateness,
    /// Share of requests whose lateness was above [`LATE_NS`].
    pub late_ratio: f64,
    /// From the send to the complete response, of all sent requests, milliseconds. Without a complete response: to the end of the
    /// wait for it.
    pub latency_ms: Latency,
    /// Share of requests with a status from 200 to 399.
    pub success_ratio: f64,
    /// Requests by HTTP status; 0 means no response.
    pub statuses: BTreeMap<String, u64>,
    /// Comparison of the answers with the recorded ones. `None` if the recorded run states no status for any of the requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    pub errors: BTreeMap<String, u64>,
    /// Bytes of all response bodies.
    pub bytes_in: u64,
    /// Bytes of all request bodies.
    pub bytes_out: u64,
    /// Requests that were sent again because the server had closed an idle connection.
    pub resends: u64,
    /// The reason why there were fewer connections than requested, which delays requests.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bounded_by: Option<String>,
    /// CPU time of the driver divided by the time of the stream.
    pub driver_cpu_cores: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Lateness {
    pub p50: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Debug, Clone, Serialize)]
pub struct Latency {
    pub min: f64,
    pub mean: f64,
    pub p50: f64,
    pub p90: f64,
    pub p95: f64,
    pub p99: f64,
    pub max: f64,
}

impl Summary {
    /// The figures as a table.
    pub fn table(&self) -> String {
        let mut out = String::new();
        let mut line = |name: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {name:<10} {value}");
        };
        line("endpoint", format!("{}  {}", self.endpoint, self.url));
        let asked = self
            .rate_asked
            .map_or_else(String::new, |rate| format!("{rate:.2}/s requested, "));
        line("rate", format!("{asked}{:.2}/s reached", self.rate_reached));
        line(
            "requests",
            format!("{} in {:.3} s", self.requests, self.duration_s),
        );
        line("lateness", self.lateness_ms.text());
        if self.late_ratio > 0.0 {
            let late_ms = LATE_NS / 1_000_000;
            line(
                "late",
                format!("{:.2}% by more than {late_ms} ms", self.late_ratio * 100.0),
            );
        }
        if let Some(reason) = &self.bounded_by {
            line("bounded", reason.clone());
        }
        line("latency", self.latency_ms.text());
        line("success", format!("{:.2}%", self.success_ratio * 100.0));
        let statuses: Vec<String> = self
            .statuses
            .iter()
            .map(|(code, count)| format!("{code}: {count}"))
            .collect();
        line("statuses", statuses.join(", "));
        if let Some(changes) = &self.changes {
            line("recorded", changes.text());
        }
        for (error, count) in &self.errors {
            line("error", format!("{error}: {count}"));
        }
        if self.resends > 0 {
            line(
                "resends",
                format!("{} (the server had closed the idle connection)", self.resends),
            );
        }
        line("bytes", format!("{} in, {} out", self.bytes_in, self.bytes_out));
        line("driver", format!("{:.2} CPUs used", self.driver_cpu_cores));
        out
    }
}

impl Lateness {
    fn text(&self) -> String {
        format!(
            "p50 {:.3} ms, p99 {:.3} ms, max {:.3} ms",
            self.p50, self.p99, self.max
        )
    }
}

impl Latency {
    fn text(&self) -> String {
        format!(
            "min {:.3}, mean {:.3}, p50 {:.3}, p90 {:.3}, p95 {:.3}, p99 {:.3}, max {:.3} ms",
            self.min, self.mean, self.p50, self.p90, self.p95, self.p99, self.max
        )
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exchange::{Request, Sent};
    use crate::facts::RequestFacts;
    use crate::plan::target::Target;

    #[test]
    fn refused_requests_without_an_exchange_count_as_requests_and_errors() {
        let mut builder = SummaryBuilder::default();
        builder.record(&exchange(0, 0, 1_000, 200, None));
        builder.record(&exchange(1, 0, 0, 0, Some(Failure::QueueFull)));
        builder.record_refused(2);
        let summary = builder.build(context());
        assert_eq!((summary.requests, summary.success_ratio), (4, 0.25));
        assert_eq!(summary.unsent, 3);
        assert_eq!((summary.statuses["0"], summary.statuses["200"]), (3, 1));
        assert_eq!(summary.errors[&Failure::QueueFull.to_string()], 3);
    }

    fn context() -> StreamContext {
        StreamContext {
            endpoint: "json".into(),
            url: "http://h/json".into(),
            rate: Some(100.0),
            driver_cpu_cores: 0.1,
            bounded_by: None,
        }
    }

    fn exchange(
        number: u64,
        late_ns: u64,
        latency_ns: u64,
        status: u16,
        failure: Option<Failure>,
    ) -> Exchange {
        let intended_ns = number * 10_000_000;
        let request = Request { number, intended_ns };
        let sent = Sent {
            request,
            monotonic_ns: intended_ns + late_ns,
            unix_ns: 0,
        };
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        Exchange {
            facts: Arc::new(RequestFacts::new("json", "GET", &target, "/", "r")),
            original: None,
            body_bytes_out: 10,
            sent,
            latency_ns,
            status,
            body_bytes_in: 3,
            failure,
            resends: 0,
        }
    }

    #[test]
    fn a_hundred_equal_gaps_of_10_ms_are_a_rate_of_a_hundred() {
        let mut builder = SummaryBuilder::default();
        for number in 0..100 {
            builder.record(&exchange(number, 1_000, (number + 1) * 1_000_000, 200, None));
        }
        let summary = builder.build(context());
        assert!((summary.rate_reached - 100.0).abs() < 1e-9);
        assert_eq!(
            (summary.requests, summary.bytes_in, summary.bytes_out),
            (100, 300, 1000)
        );
        assert_eq!(
            (
                summary.latency_ms.min,
                summary.latency_ms.max,
                summary.latency_ms.mean
            ),
            (1.0, 100.0, 50.5)
        );
        // The histogram keeps three digits.
        assert!(
            (summary.latency_ms.p50 / 50.0 - 1.0).abs() < 2e-3
                && (summary.latency_ms.p99 / 99.0 - 1.0).abs() < 2e-3
        );
        assert_eq!(summary.lateness_ms.max, 0.001);
        assert_eq!(summary.success_ratio, 1.0);
    }

    #[test]
    fn statuses_and_errors_are_counted_apart() {
        let mut builder = SummaryBuilder::default();
        builder.record(&exchange(0, 0, 5, 200, None));
        builder.record(&exchange(1, 0, 5, 503, None));
        builder.record(&exchange(2, 0, 5, 0, Some(Failure::Timeout)));
        let summary = builder.build(context());
        assert_eq!(
            summary.statuses,
            BTreeMap::from([("0".into(), 1), ("200".into(), 1), ("503".into(), 1)])
        );
        assert_eq!(summary.errors.get("503 Service Unavailable"), Some(&1));
        assert_eq!(summary.errors.get("timeout: no whole response in time"), Some(&1));
        assert!((summary.success_ratio - 1.0 / 3.0).abs() < 1e-9);
    }

    #[test]
    fn a_request_that_never_left_counts_as_late_but_has_no_latency() {
        let mut builder = SummaryBuilder::default();
        builder.record(&exchange(0, 7_000_000, 0, 0, Some(Failure::QueueFull)));
        builder.record(&exchange(1, 0, 4_000_000, 200, None));
        let summary = builder.build(context());
        assert_eq!(
            (summary.requests, summary.lateness_ms.max, summary.latency_ms.min),
            (2, 7.0, 4.0)
        );
    }

    #[test]
    fn the_share_of_late_requests_counts_those_above_the_limit_only() {
        let mut builder = SummaryBuilder::default();
        for (number, late_ns) in [(0, 0), (1, LATE_NS), (2, LATE_NS + 1), (3, 600_000_000)] {
            builder.record(&exchange(number, late_ns, 5, 200, None));
        }
        let summary = builder.build(context());
        assert_eq!((summary.late_ratio, summary.lateness_ms.max), (0.5, 600.0));
        assert!(
            summary.table().contains("50.00% by more than 10 ms"),
            "{}",
            summary.table()
        );
    }

    #[test]
    fn nothing_at_all_is_zeros_and_no_division_by_zero() {
        let summary = SummaryBuilder::default().build(context());
        assert_eq!(
            (
                summary.rate_reached,
                summary.success_ratio,
                summary.latency_ms.mean
            ),
            (0.0, 0.0, 0.0)
        );
        assert!(summary.table().contains("0 in 0.000 s"));
    }
}
