//! Rules on single rows of `host_metrics.jsonl`, `link_metrics.jsonl` and `system_stats.jsonl`.

use super::known::Known;
use super::report::{Findings, Place};
use super::rows::{check_durations, check_timestamp};
use super::rules::Broken;
use crate::cctf::{HostMetric, LinkMetric, SystemStat};

/// Maximum of `cpu_util`, percent of all CPUs.
const CPU_UTIL_MAX: f64 = 100.0;

pub(super) fn check_host(row: &HostMetric<'_>, known: &Known, place: Place, findings: &mut Findings) {
    check_timestamp("ts_ms", row.ts_ms, place, findings);
    known.check_node(("node", &row.node), Some(row.stage), place, findings);
    check_durations(
        &[("interval_ms", row.interval_ms)],
        Broken::DurationsNotNegative,
        place,
        findings,
    );
    if let Some(used) = row.cpu_util.filter(|used| !(0.0..=CPU_UTIL_MAX).contains(used)) {
        findings.add(Broken::CpuUtilRange, place, || format!("cpu_util is {used}"));
    }
    let amounts = [
        ("mem_free_mb", row.mem_free_mb),
        ("mem_used_mb", row.mem_used_mb),
        ("load1", row.load1),
        ("disk_read_Bps", row.disk_read_Bps),
        ("disk_write_Bps", row.disk_write_Bps),
        ("power_w", row.power_w),
        ("energy_j", row.energy_j),
    ];
    check_amounts(&amounts, place, findings);
}

pub(super) fn check_link(row: &LinkMetric<'_>, known: &Known, place: Place, findings: &mut Findings) {
    check_timestamp("ts_ms", row.ts_ms, place, findings);
    known.check_node(("node", &row.node), Some(row.stage), place, findings);
    check_durations(
        &[("interval_ms", row.interval_ms)],
        Broken::DurationsNotNegative,
        place,
        findings,
    );
    let net_times = [
        ("net_ms_min", row.net_ms_min),
        ("net_ms_p50", row.net_ms_p50),
        ("net_ms_p99", row.net_ms_p99),
    ];
    check_durations(&net_times, Broken::NetNotNegative, place, findings);
    check_amounts(&[("rx_Bps", row.rx_Bps), ("tx_Bps", row.tx_Bps)], place, findings);
    let is_link = match row.link.strip_prefix(&*row.node) {
        Some(".nic") => true,
        Some(rest) => rest.strip_prefix("->").is_some_and(|other| known.is_node(other)),
        None => false,
    };
    if !is_link {
        findings.add(Broken::LinkName, place, || {
            format!("link {:?} of node {:?}", &*row.link, &*row.node)
        });
    }
}

pub(super) fn check_stat(row: &SystemStat<'_>, known: &Known, place: Place, findings: &mut Findings) {
    check_timestamp("ts_ms", row.ts_ms, place, findings);
    known.check_node(("node_id", &row.node_id), Some(row.stage), place, findings);
    if let Some(module) = &row.module_id {
        known.check_module(("module_id", module), place, findings);
    }
}

fn check_amounts(amounts: &[(&str, Option<f64>)], place: Place, findings: &mut Findings) {
    for (field, amount) in amounts {
        if let Some(amount) = amount.filter(|&amount| amount < 0.0) {
            findings.add(Broken::RatesNotNegative, place, || format!("{field} is {amount}"));
        }
    }
}
