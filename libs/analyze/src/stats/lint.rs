//! [`lint`]: checks whether a run obeys laws that hold for every correctly recorded run.
//!
//! Each law compares figures that were recorded independently of each other, so none holds just by definition.

use std::collections::BTreeMap;

use crate::any_order::sum_in_any_order;
use crate::intervals::{NoInterval, RunLength};

use super::cells::{Cells, Key, MODULE, NODE, OTHER_NAME, decoded};
use super::figures::Time;
use super::flow::{ClockBound, PeerFlow};
use super::hosts::{Host, Hosts};
use super::links::LinkJoin;
use super::sampled::{Sampled, StationSamples};

/// Confidence level of the intervals. Of a thousand correct stations, one fails by chance.
const LEVEL: f64 = 0.999;
/// If n samples are all equal, the value was different for less than 7/n of the time, at the confidence LEVEL, because e^-7 < 1
/// - LEVEL.
const EQUAL_SAMPLES_REACH: f64 = 7.0;
/// Maximum share of missing callers or callees. Some may be missing at the beginning and end of a run.
const MISSING_SHARE_MAX: f64 = 0.01;
/// Number of callers or callees that may be missing even if their share is above [`MISSING_SHARE_MAX`]. Their requests were in
/// progress when the run began or ended.
const MISSING_MAX: u64 = 5;
/// Tolerance for CPU times, as a share: those of rows, process and host are sampled by different clocks.
const CPU_EXCESS_MAX: f64 = 0.05;
/// Largest step of a CPU time, seconds: a tick of the kernel. Each counter can be wrong by one tick at its first sample and by
/// one at its last.
const CPU_STEP_S: f64 = 0.01;
/// Timestamps of different libraries can differ by this much on one machine, so such a difference
/// does not show that clocks differ.
const CLOCK_TOLERANCE_NS: i64 = 1_000_000;

const NS_PER_S: f64 = 1e9;
const NS_PER_MS: f64 = 1e6;

/// A law of the lint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Law {
    /// The sampled number of requests in the system equals arrival rate times response time.
    Little,
    /// The CPU time of a process is at least that of its requests.
    Cpu,
    /// The CPU time of a whole host is at least that of its processes.
    HostCpu,
    /// For each invocation that reports a caller, the run has the caller's row.
    Callers,
    /// For each call that an instance in the run answered, the run has the row of the invocation.
    Callees,
    /// An invocation lies within its call.
    Clock,
}

impl Law {
    pub fn name(self) -> &'static str {
        match self {
            Self::Little => "little",
            Self::Cpu => "cpu",
            Self::HostCpu => "host_cpu",
            Self::Callers => "callers",
            Self::Callees => "callees",
            Self::Clock => "clock",
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Agrees,
    Disagrees,
    /// There is not enough data.
    Undecided,
}

impl Verdict {
    pub fn name(self) -> &'static str {
        match self {
            Self::Agrees => "agrees",
            Self::Disagrees => "disagrees",
            Self::Undecided => "undecided",
        }
    }

    fn of(agrees: bool) -> Self {
        if agrees { Self::Agrees } else { Self::Disagrees }
    }
}

/// The result of a law for one station, node, peer or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    pub law: Law,
    /// Name of the station, node, peer or link.
    pub of: String,
    pub verdict: Verdict,
    /// The compared figures, as text.
    pub figures: String,
}

/// Applies all laws.
pub fn lint(cells: &Cells, links: &LinkJoin, sampled: &Sampled, hosts: &Hosts, time_ns: u64) -> Vec<Check> {
    let mut checks = Vec::new();
    for (station, rows) in stations(cells) {
        let Some(samples) = sampled.of(&station.0, &station.1) else {
            continue;
        };
        let of = format!("{} on {}", station.0, station.1);
        if samples.in_flight().next().is_some() {
            checks.push(little(of.clone(), &rows, samples, time_ns));
        }
        checks.extend(cpu(of, &rows, samples, time_ns));
    }
    checks.extend(hosts.iter().map(|(node, host)| host_cpu(node, host)));
    checks.extend(callers(cells, links));
    let peers = links.flow.peers();
    checks.extend(peers.filter_map(|(peer, flow)| callees(decoded(peer)?, flow)));
    for ((from, to), bound) in links.flow.clocks() {
        let of = format!(
            "{} -> {}",
            links.caller_name(from),
            name(&cells.keys(NODE)[to as usize])
        );
        checks.push(clock(of, bound));
    }
    checks.sort_by_key(|check| check.law);
    checks
}

/// Sums over the rows of a module on a node.
#[derive(Default)]
struct Rows {
    response_ns: u128,
    cpu_count: u64,
    cpu_ns: u128,
}

fn stations(cells: &Cells) -> BTreeMap<(String, String), Rows> {
    let mut stations: BTreeMap<(String, String), Rows> = BTreeMap::new();
    let (modules, nodes) = (cells.keys(MODULE), cells.keys(NODE));
    for (sums, groups) in cells.iter() {
        let (module, node) = (&modules[groups[MODULE] as usize], &nodes[groups[NODE] as usize]);
        if let (Some(module), Some(node)) = (&module.module_id, &node.node) {
            let rows = stations.entry((module.clone(), node.clone())).or_default();
            rows.response_ns += sums.of(Time::Response).sum_ns;
            rows.cpu_count += sums.of(Time::Cpu).count();
            rows.cpu_ns += sums.of(Time::Cpu).sum_ns;
        }
    }
    stations
}

fn little(of: String, rows: &Rows, samples: &StationSamples, time_ns: u64) -> Check {
    let by_rows = rows.response_ns as f64 / (time_ns as f64).max(1.0);
    let (mut lows, mut highs, mut means) = (Vec::new(), Vec::new(), Vec::new());
    // The instances of a station are not independent. So the interval of the sum reaches from the sum of the lower ends to the
    // sum of the upper ends.
    for series in samples.in_flight() {
        match series.values.mean_interval(LEVEL, RunLength::Unknown) {
            Ok(interval) => {
                means.push(interval.estimate);
                lows.push(interval.low.unwrap_or(0.0));
                highs.push(interval.high.unwrap_or(f64::INFINITY));
            }
            Err(NoInterval::Constant) => {
                let count = series.values.count() as f64;
                let (reach, value) = (EQUAL_SAMPLES_REACH / count, series.sum / count);
                means.push(value);
                lows.push((value - reach).max(0.0));
                highs.push(value + reach);
            }
            Err(reason) => {
                return Check {
                    law: Law::Little,
                    of,
                    verdict: Verdict::Undecided,
                    figures: format!("sampled in_flight: {reason}; {by_rows:.3} by rows"),
                };
            }
        }
    }
    let [low, high, mean] = [lows, highs, means].map(sum_in_any_order);
    let agrees = low <= by_rows && by_rows <= high;
    Check {
        law: Law::Little,
        of,
        verdict: Verdict::of(agrees),
        figures: format!("sampled in_flight {mean:.3} ({low:.3}..{high:.3}), {by_rows:.3} by rows"),
    }
}

fn cpu(of: String, rows: &Rows, samples: &StationSamples, time_ns: u64) -> Option<Check> {
    let (cpu_s, sampled_ns) = samples.process_cpu()?;
    if rows.cpu_count == 0 || sampled_ns == 0 {
        return None;
    }
    let by_rows_s = rows.cpu_ns as f64 / NS_PER_S;
    let not_sampled_s = time_ns.saturating_sub(sampled_ns) as f64 / NS_PER_S;
    let bound_s = cpu_s * (1.0 + CPU_EXCESS_MAX);
    let verdict = match by_rows_s {
        cpu if cpu <= bound_s => Verdict::Agrees,
        // The excess could have been used before the first sample or after the last one.
        cpu if cpu <= bound_s + not_sampled_s => Verdict::Undecided,
        _ => Verdict::Disagrees,
    };
    Some(Check {
        law: Law::Cpu,
        of,
        verdict,
        figures: format!(
            "process.cpu.time {cpu_s:.3} s in {:.1} s, cpu_time_ms of the rows {by_rows_s:.3} s in {:.1} s",
            sampled_ns as f64 / NS_PER_S,
            time_ns as f64 / NS_PER_S
        ),
    })
}

/// Checks that the processes of the run on a node use at most as much CPU time as the whole host.
fn host_cpu(node: &str, host: &Host) -> Check {
    let processes = host.processes;
    let sampled_ns = processes.end.abs_diff(processes.begin);
    let seconds = |ns: u64| ns as f64 / NS_PER_S;
    let time = format!(
        "process.cpu.time of the node's processes {:.3} s in {:.1} s",
        processes.seconds,
        seconds(sampled_ns)
    );
    let check = |verdict, figures| Check {
        law: Law::HostCpu,
        of: node.to_owned(),
        verdict,
        figures,
    };
    if host.covered_ns == 0 {
        let figures = format!("{time}; no usable samples of the host in this time");
        return check(Verdict::Undecided, figures);
    }
    let Some(cpus) = host.cpus else {
        let figures = format!("{time}; the number of the node's CPUs is unknown");
        return check(Verdict::Undecided, figures);
    };
    let host_s = host.busy_s * cpus as f64;
    let bound_s = host_s * (1.0 + CPU_EXCESS_MAX) + 2.0 * CPU_STEP_S * processes.series as f64;
    let not_sampled_s = seconds(sampled_ns.saturating_sub(host.covered_ns)) * cpus as f64;
    let verdict = match processes.seconds {
        cpu if cpu <= bound_s => Verdict::Agrees,
        // The excess could have been used while the host was not sampled.
        cpu if cpu <= bound_s + not_sampled_s => Verdict::Undecided,
        _ => Verdict::Disagrees,
    };
    let covered_s = seconds(host.covered_ns.min(sampled_ns));
    let figures = format!(
        "{time}; CPU time of the whole host by cpu_util: {host_s:.3} s on {cpus} CPUs in {covered_s:.1} s"
    );
    check(verdict, figures)
}

fn callers(cells: &Cells, links: &LinkJoin) -> Vec<Check> {
    let mut called = vec![0_u64; cells.keys(NODE).len()];
    for (sums, groups) in cells.iter() {
        called[groups[NODE] as usize] += sums.called;
    }
    let check = |(node, called): (usize, u64)| {
        let found = links.flow.found_on(node as u32);
        Check {
            law: Law::Callers,
            of: name(&cells.keys(NODE)[node]),
            verdict: balance(called, found),
            figures: format!("{called} invocations with a caller, {found} calls found for them"),
        }
    };
    let with_calls = called.into_iter().enumerate().filter(|(_, called)| *called > 0);
    with_calls.map(check).collect()
}

/// `None` if no call to the peer has an invocation. The peer is then outside of the run, so there is nothing to check.
fn callees(peer: String, flow: PeerFlow) -> Option<Check> {
    (flow.found > 0).then(|| Check {
        law: Law::Callees,
        of: peer,
        verdict: balance(flow.calls, flow.found),
        figures: format!(
            "{} calls that were answered, {} with the row of an invocation",
            flow.calls, flow.found
        ),
    })
}

fn balance(wanted: u64, found: u64) -> Verdict {
    let missing = wanted.saturating_sub(found);
    Verdict::of(missing <= MISSING_MAX || missing as f64 <= wanted as f64 * MISSING_SHARE_MAX)
}

fn clock(of: String, bound: ClockBound) -> Check {
    let agrees = bound.low <= CLOCK_TOLERANCE_NS && bound.high >= -CLOCK_TOLERANCE_NS;
    let ms = |ns: i64| ns as f64 / NS_PER_MS;
    Check {
        law: Law::Clock,
        of,
        verdict: Verdict::of(agrees),
        figures: format!(
            "the callee's clock minus the caller's is from {:.3} ms to {:.3} ms",
            ms(bound.low),
            ms(bound.high)
        ),
    }
}

fn name(key: &Key) -> String {
    key.node.clone().unwrap_or_else(|| OTHER_NAME.to_owned())
}
