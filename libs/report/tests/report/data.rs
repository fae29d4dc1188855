//! Runs made by hand: a small one, and one that has more of everything than a page can show.

use analyze::coarse::bin_of;
use analyze::stats::Stats;
use analyze::stats::cells::Key;
use analyze::stats::figures::{Bytes, Sums, Time};
use analyze::stats::group::{By, Group};
use analyze::stats::lint::{Check, Law, Verdict};
use analyze::trace::{RowKind, Span, Trace};
use cctf_proto::cctf::{File, Flags, PlacementKind, SpanId, SpanKind, TraceId};
use cctf_proto::validate::{Finding, RULES, Severity};
use report::model::{
    Bucket, BucketTime, Edge, EdgeEnd, Event, Host, Meta, Pick, PickedTrace, RunData, Series, Timeline,
    Validation,
};

/// The size of a run, and the text that its names contain.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    pub modules: usize,
    pub endpoints: usize,
    /// Number of modules with a timeline.
    pub series: usize,
    pub buckets: usize,
    /// Number of bins in each sketch.
    pub bins: u16,
    pub traces: usize,
    pub trace_rows: usize,
    /// Number of links, and also of hosts, events, notes, checks and findings.
    pub others: usize,
    pub name: &'static str,
    /// Number of times that the text is repeated in a name.
    pub repeated: usize,
}

pub const SMALL: Extent = Extent {
    modules: 3,
    endpoints: 5,
    series: 3,
    buckets: 12,
    bins: 10,
    traces: 3,
    trace_rows: 6,
    others: 2,
    name: "shop",
    repeated: 1,
};

/// Numbers that look random, so that they cannot be compressed well.
fn noise(seed: usize) -> u64 {
    (seed as u64 + 1)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15)
        .rotate_left(31)
}

impl Extent {
    fn text(&self, number: usize) -> String {
        format!("{number} {}", self.name.repeat(self.repeated))
    }

    fn module(&self, number: usize) -> Key {
        Key {
            app_id: Some(self.text(0)),
            module_id: Some(self.text(number)),
            ..Key::default()
        }
    }

    fn endpoint(&self, number: usize) -> Key {
        Key {
            method: Some(self.text(number)),
            route: Some(self.text(number)),
            ..self.module(number % self.modules)
        }
    }

    pub fn run(&self, run_id: &str) -> RunData {
        RunData {
            stats: self.stats(run_id),
            meta: Some(Meta {
                started_ns: 1_790_000_000_000_000_000,
                ended_ns: Some(1_790_000_060_000_000_000),
                facts: (0..self.others).map(|n| (self.text(n), self.text(n))).collect(),
            }),
            validation: Validation {
                errors: self.others as u64,
                warnings: 0,
                findings: (0..self.others).map(|n| self.finding(n)).collect(),
                unchecked: None,
            },
            timeline: Timeline {
                begin_ns: 0,
                end_ns: self.buckets as i64 * 1_000_000_000,
                bucket_ns: 1_000_000_000,
                run: self.series(1),
                modules: (0..self.series)
                    .map(|n| (self.module(n), self.series(n + 2)))
                    .collect(),
                endpoints: (0..self.endpoints.min(self.series))
                    .map(|n| (self.endpoint(n), self.series(n + 2)))
                    .collect(),
            },
            edges: self.edges(),
            hosts: (0..self.others).map(|n| self.host(n)).collect(),
            events: (0..self.others).map(|n| self.event(n)).collect(),
            cpu_estimates: Default::default(),
            traces: (0..self.traces).map(|n| self.trace(n)).collect(),
            notes: (0..self.others).map(|n| self.text(n)).collect(),
        }
    }

    fn stats(&self, run_id: &str) -> Stats {
        let mut groups: Vec<Group> = (0..self.modules)
            .map(|n| group(By::Module, self.module(n), n))
            .collect();
        groups.extend((0..self.endpoints).map(|n| group(By::Endpoint, self.endpoint(n), n)));
        groups.extend((0..self.others).map(|n| {
            let key = Key {
                from_node: Some(self.text(n)),
                node: Some(self.text(n + 1)),
                ..Key::default()
            };
            group(By::Link, key, n)
        }));
        Stats {
            run_id: run_id.to_owned(),
            parts: vec![run_id.to_owned()],
            is_open: false,
            rows: 1000,
            first_ns: Some(0),
            last_ns: Some(self.buckets as i64 * 1_000_000_000),
            outside: 0,
            time_ns: self.buckets as u64 * 1_000_000_000,
            damages: Default::default(),
            notes: Vec::new(),
            groups,
            checks: (0..self.others)
                .map(|n| Check {
                    law: Law::Little,
                    of: self.text(n),
                    verdict: Verdict::Disagrees,
                    figures: self.text(n),
                })
                .collect(),
        }
    }

    fn series(&self, seed: usize) -> Series {
        let bucket = |index: usize| {
            let of = |time: usize| BucketTime {
                count: 1000,
                sum_ns: 1_000_000_000 + u128::from(noise(index * 7 + time + seed) % 1_000_000_000),
                bins: (0..self.bins)
                    .map(|bin| {
                        let count = noise(seed * 1_000_000 + index * 1000 + time * 300 + usize::from(bin));
                        (bin_of(100_000) + bin, (count % 100_000) as u32 + 1)
                    })
                    .collect(),
            };
            Bucket {
                calls: 1000 + noise(index + seed) % 1000,
                errors: noise(index + seed) % 10,
                times: std::array::from_fn(of),
                in_flight: Some(1.5 + index as f64),
                utilisation: Some(0.123),
            }
        };
        Series {
            buckets: (0..self.buckets).map(bucket).collect(),
        }
    }

    fn edges(&self) -> Vec<Edge> {
        let edge = |number: usize| Edge {
            from: (number > 0).then(|| self.module(number)),
            to: match number % 3 {
                0 => EdgeEnd::External(self.text(number)),
                _ => EdgeEnd::Module(self.module((number + 1) % self.modules)),
            },
            calls: 100 + number as u64,
            errors: 3,
            timed: 100 + number as u64,
            sum_ns: 123_456_789,
            quantiles_ns: [Some(1_000_000), Some(2_000_000), Some(3_000_000)],
            bytes_out: Bytes {
                count: 1,
                sum: 100,
                squares: 10_000,
            },
            bytes_in: Bytes {
                count: 1,
                sum: 100,
                squares: 10_000,
            },
        };
        (0..self.modules).map(edge).collect()
    }

    fn host(&self, number: usize) -> Host {
        let values = |base: f64| {
            (0..self.buckets)
                .map(|index| Some(base + index as f64 * 0.173))
                .collect()
        };
        Host {
            node: self.text(number),
            stage: "edge".to_owned(),
            cpu_util: values(10.0),
            mem_used_mb: values(1000.0),
            mem_free_mb: values(5000.0),
        }
    }

    fn event(&self, number: usize) -> Event {
        Event {
            ts_ns: 1_500_000_000 * number as i64,
            event: PlacementKind::Migrate,
            app_id: None,
            module_id: self.text(number),
            instance_id: Some(self.text(number)),
            node_id: self.text(number),
            from_node_id: Some(self.text(number)),
            replicas: None,
            reason: Some(self.text(number)),
            inferred: true,
        }
    }

    fn finding(&self, number: usize) -> Finding {
        Finding {
            rule: &RULES[number % RULES.len()],
            severity: Severity::Error,
            file: File::Calls,
            line: Some(number as u64),
            message: self.text(number),
        }
    }

    fn trace(&self, number: usize) -> PickedTrace {
        let trace_id = TraceId::parse(&format!("5b8efff79803810300000000{:08x}", number + 1)).unwrap();
        let spans: Vec<Span> = (0..self.trace_rows).map(|row| self.span(row)).collect();
        PickedTrace {
            pick: [Pick::Slowest, Pick::Median, Pick::Failed][number % 3],
            root: spans.first().cloned(),
            failed: spans.iter().filter(|span| span.is_error()).count() as u64,
            trace: Trace::new(trace_id, spans),
            rows_left_out: 0,
        }
    }

    /// A span of a single chain of invocations and calls, each caused by the previous one.
    fn span(&self, row: usize) -> Span {
        let id = |row: usize| SpanId::from_bytes(&(row as u64 + 1).to_be_bytes()).unwrap();
        let is_call = row % 2 == 1;
        let (start, end) = (row as i64 * 1000, 100_000_000 - row as i64 * 1000);
        Span {
            row: if is_call {
                RowKind::Call
            } else {
                RowKind::Invocation
            },
            span_id: id(row),
            parent_span_id: row.checked_sub(1).map(id),
            ancestor: (row > 0).then(|| id(row - if is_call { 1 } else { 2 })),
            caller: (row > 0 && !is_call).then(|| id(row - 1)),
            module_id: self.text(row),
            instance_id: self.text(row),
            node: self.text(row),
            kind: Some(if is_call {
                SpanKind::Client
            } else {
                SpanKind::Server
            }),
            method: Some(self.text(row)),
            path: Some(self.text(row)),
            name: Some(self.text(row)),
            peer_module: Some(self.text(row)),
            peer: Some(self.text(row)),
            status: Some(500),
            error_type: Some(self.text(row)),
            resend_count: None,
            flags: Flags::NONE,
            start,
            work_start: start + 100,
            end,
            queue: Some(100),
            service: Some(end - start - 100),
            cpu: Some(300),
            net: Some(200),
        }
    }
}

const BYTES: Bytes = Bytes {
    count: 1000,
    sum: 123_456,
    squares: 15_300_000,
};

/// A group with a thousand calls. The first group of a grouping has the most response time.
pub fn group(by: By, key: Key, number: usize) -> Group {
    let mut sums = Sums {
        calls: 1000,
        errors: 17,
        bytes_in: BYTES,
        bytes_out: BYTES,
        ..Sums::default()
    };
    for time in Time::ALL {
        for value in 1..=100 {
            sums.times[time as usize].add(Some(value * 1_000_000 / (number as u64 + 1)));
        }
    }
    Group {
        by,
        key,
        sums,
        gaps: Default::default(),
        time_ns: 12_000_000_000,
        busy_ns: 6_000_000_000,
        slot_ns: Some(24_000_000_000),
        in_flight: Some(1.25),
        intervals: None,
        load_intervals: None,
    }
}
