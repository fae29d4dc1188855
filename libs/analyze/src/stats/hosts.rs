//! [`Hosts`]: CPU time of whole hosts while their processes were sampled. The lint compares it with the CPU time of these
//! processes.

use std::collections::BTreeMap;

use cctf_proto::cctf::{File, HostMetric, Node, Part, WHOLE_BYTES_MAX};
use rundir::parts::Run;
use rundir::{Lines, ReadError, RunFolder};

use super::sampled::NodeCpu;
use super::scan::Damages;

const NS_PER_S: f64 = 1e9;
/// Maximum valid `cpu_util` of a sample, percent. Rounding can give slightly more than 100; a larger value is an error of the
/// source.
const CPU_UTIL_MAX: f64 = 101.0;
/// Maximum length of a sampling interval, nanoseconds: an hour. Agents sample every few seconds to minutes.
const INTERVAL_NS_MAX: u64 = 3_600_000_000_000;
/// Maximum number of CPUs of a node: eight times the maximum of Linux.
const CPUS_MAX: u64 = 65_536;

/// The host of a node with sampled processes.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// CPU time of the processes.
    pub processes: NodeCpu,
    /// Number of logical CPUs; `None` if unknown or invalid.
    pub cpus: Option<u64>,
    /// Busy time of an average CPU, seconds: the integral of `cpu_util` over whole intervals. An interval counts if it overlaps the
    /// time from the first to the last sample of the node's processes.
    pub busy_s: f64,
    /// The part of the time from the first to the last sample that these intervals cover, nanoseconds.
    pub covered_ns: u64,
    /// Time of the last row.
    last_row: Option<i64>,
}

/// Hosts by node. Their number is bounded, because there are at most as many hosts as sampled series, which are bounded.
#[derive(Debug, Default)]
pub struct Hosts(BTreeMap<String, Host>);

impl Hosts {
    /// Reads the inventory of nodes and the samples of hosts.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn read(
        run: &Run,
        parts: &[Part],
        processes: &BTreeMap<String, NodeCpu>,
        damages: &mut Damages,
    ) -> Result<Self, ReadError> {
        let host = |processes: &NodeCpu| Host {
            processes: *processes,
            cpus: None,
            busy_s: 0.0,
            covered_ns: 0,
            last_row: None,
        };
        let hosts = processes.iter().map(|(node, cpu)| (node.clone(), host(cpu)));
        let mut hosts = Self(hosts.collect());
        for part in parts {
            let folder = RunFolder::open(&run.folder(part))?;
            if let Some(text) = folder.whole(File::Nodes, WHOLE_BYTES_MAX)? {
                hosts.add_nodes(&text);
            }
            if let Some(lines) = folder.lines(File::HostMetrics)? {
                hosts.add_rows(lines, damages)?;
            }
        }
        Ok(hosts)
    }

    /// The nodes with their hosts, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Host)> {
        self.0.iter().map(|(node, host)| (node.as_str(), host))
    }

    fn add_nodes(&mut self, text: &[u8]) {
        let nodes: Vec<Node<'_>> = serde_json::from_slice(text).unwrap_or_default();
        for node in &nodes {
            if let Some(host) = self.0.get_mut(&*node.node_id) {
                let cpus = node.cpu_cores.filter(|cpus| (1..=CPUS_MAX).contains(cpus));
                host.cpus = cpus.or(host.cpus);
            }
        }
    }

    fn add_rows(&mut self, lines: Lines, damages: &mut Damages) -> Result<(), ReadError> {
        let path = lines.path().to_owned();
        let on_row = |line: &[u8]| {
            let Ok(row) = serde_json::from_slice::<HostMetric<'_>>(line) else {
                return false;
            };
            if let Some(host) = self.0.get_mut(&*row.node) {
                host.add(&row);
            }
            true
        };
        lines.each_row(on_row, |line| damages.add_row(&path, line))
    }
}

impl Host {
    /// Adds a row. A row without a value is ignored. If the value or the interval is invalid, only the row's time is used: the next
    /// interval can begin there.
    fn add(&mut self, row: &HostMetric<'_>) {
        let Some(percent) = row.cpu_util else {
            return;
        };
        let end = row.ts_ms.as_ns();
        let interval = row
            .interval_ms
            .map(|interval| end.saturating_sub(interval.as_ns()));
        // If the length of the interval is unknown, the interval begins at the previous row.
        let begin = interval.or(self.last_row.filter(|last| *last < end));
        self.last_row = self.last_row.max(Some(end));
        let is_possible = |begin: &i64| {
            (0.0..=CPU_UTIL_MAX).contains(&percent) && *begin < end && begin.abs_diff(end) <= INTERVAL_NS_MAX
        };
        let Some(begin) = begin.filter(is_possible) else {
            return;
        };
        let (from, to) = (begin.max(self.processes.begin), end.min(self.processes.end));
        if from < to {
            self.busy_s += percent / 100.0 * end.abs_diff(begin) as f64 / NS_PER_S;
            self.covered_ns = self.covered_ns.saturating_add(from.abs_diff(to));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            processes: NodeCpu {
                seconds: 1.0,
                series: 1,
                begin: 1_000_000_000,
                end: 4_000_000_000,
            },
            cpus: None,
            busy_s: 0.0,
            covered_ns: 0,
            last_row: None,
        }
    }

    fn add(host: &mut Host, second: f64, percent: f64, interval: Option<&str>) {
        let interval = interval.map_or(String::new(), |ms| format!(",\"interval_ms\":{ms}.000000"));
        let text = format!(
            "{{\"ts_ms\":{:.6},\"node\":\"n\",\"stage\":\"edge\",\"cpu_util\":{percent:.1},\"mem_free_mb\":null{interval}}}",
            second * 1e3
        );
        host.add(&serde_json::from_str(&text).unwrap());
    }

    #[test]
    fn intervals_that_touch_the_time_of_the_processes_count_whole() {
        let mut host = host();
        for (second, percent) in [(0.5, 100.0), (1.5, 50.0), (2.5, 20.0), (3.5, 10.0), (5.5, 80.0)] {
            add(&mut host, second, percent, Some("1000"));
        }
        assert!((host.busy_s - 0.8).abs() < 1e-9, "{host:?}");
        assert_eq!(host.covered_ns, 2_500_000_000);
    }

    #[test]
    fn a_row_with_an_impossible_value_or_interval_is_ignored() {
        let mut reversed = host();
        for second in [5.0, 4.0, 3.0, 2.0] {
            add(&mut reversed, second, 20.0, None);
        }
        assert_eq!((reversed.busy_s, reversed.covered_ns), (0.0, 0));
        let mut host = host();
        for percent in [500.0, -1.0, 1e300, 101.5] {
            add(&mut host, 2.0, percent, Some("1000"));
        }
        for interval in ["-5", "0", "99999999999", "3600001"] {
            add(&mut host, 3.0, 20.0, Some(interval));
        }
        assert_eq!((host.busy_s, host.covered_ns), (0.0, 0));
        add(&mut host, 2.0, 100.5, Some("1000"));
        assert_eq!(host.covered_ns, 1_000_000_000);
    }

    #[test]
    fn an_impossible_number_of_cpus_is_unknown() {
        let mut hosts = Hosts([("n".to_owned(), host())].into());
        for (cores, expected) in [("0", None), ("18446744073709551615", None), ("2", Some(2))] {
            let nodes = format!(r#"[{{"node_id":"n","stage":"edge","cpu_cores":{cores},"mem_mb":1.0}}]"#);
            hosts.add_nodes(nodes.as_bytes());
            assert_eq!(hosts.0["n"].cpus, expected, "{cores}");
        }
    }

    #[test]
    fn an_interval_without_a_length_begins_at_the_row_before() {
        let mut host = host();
        for (second, percent) in [(1.0, 100.0), (3.0, 50.0), (4.0, 10.0)] {
            add(&mut host, second, percent, None);
        }
        assert!((host.busy_s - 1.1).abs() < 1e-9, "{host:?}");
        assert_eq!(host.covered_ns, 3_000_000_000);
    }

    #[test]
    fn invalid_or_too_long_lines_are_counted_as_damaged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host_metrics.jsonl");
        let row = |ts: u32| {
            format!(
                "{{\"ts_ms\":{ts}.000000,\"node\":\"n\",\"stage\":\"edge\",\"cpu_util\":50.0,\"mem_free_mb\":null}}"
            )
        };
        let long = row(2000) + &" ".repeat(100);
        std::fs::write(
            &path,
            [row(1000), "no".to_owned(), long, row(3000), row(4000)].join("\n"),
        )
        .unwrap();
        let lines = Lines::open_with(path, 100).unwrap().unwrap();
        let mut hosts = Hosts([("n".to_owned(), host())].into());
        let mut damages = Damages::default();
        hosts.add_rows(lines, &mut damages).unwrap();
        let named: Vec<u64> = damages.shown.iter().map(|damage| damage.line).collect();
        assert_eq!((damages.count, named), (2, vec![2, 3]));
        // The last line has no newline at its end, so it does not count.
        assert_eq!(hosts.0["n"].covered_ns, 2_000_000_000);
    }

    #[test]
    fn the_first_and_the_last_timestamp_possible_overflow_nothing() {
        let mut host = host();
        (host.processes.begin, host.processes.end) = (i64::MIN, i64::MAX);
        let row = |ts: &str, rest: &str| {
            format!(r#"{{"ts_ms":{ts},"node":"n","stage":"edge","cpu_util":50.0,"mem_free_mb":null{rest}}}"#)
        };
        let (first, last) = ("-9223372036854.775808", "9223372036854.775807");
        let long = format!(r#","interval_ms":{last}"#);
        for text in [row(first, ""), row(last, ""), row(last, &long), row(last, &long)] {
            host.add(&serde_json::from_str(&text).unwrap());
        }
        // Intervals of invalid length are ignored.
        assert_eq!((host.busy_s, host.covered_ns), (0.0, 0));
    }
}
