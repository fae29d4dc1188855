//! Three namespaces are connected by links with a set delay and rate, and the clock of one node is 3 s ahead. links.json and
//! nodes.json must agree with the settings, and all else must be as in a run with correct clocks.

use std::path::Path;

use e2e::tiers::{Run, SKEW_MS};

use super::finding::Finding;

const DURATION: &str = "60s";
/// Maximum relative difference between a measured value and its setting.
const DELAY_WITHIN: f64 = 0.10;
const RATE_WITHIN: f64 = 0.15;

/// Drives the run and checks its files.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let run = Run::drive(bin_dir, DURATION)?;
    let mut findings = Vec::new();
    for link in run.links()? {
        let bounds = |set: f64, part: f64| (set * (1.0 - part), set * (1.0 + part));
        let (set, found) = (link.delay_s.0 * 1e3, link.delay_s.1 * 1e3);
        let name = format!("{}: PR_s, set to {set} ms", link.name);
        findings.push(Finding::between(&name, found, bounds(set, DELAY_WITHIN), "ms"));
        let (set, found) = (link.rate_bps.0 / 1e6, link.rate_bps.1 / 1e6);
        let name = format!("{}: BW_bps, set to {set} Mbit/s", link.name);
        findings.push(Finding::between(&name, found, bounds(set, RATE_WITHIN), "Mbit/s"));
    }
    let (rows, differences) = run.differences()?;
    let name = format!("one clock ahead by {SKEW_MS} ms: of {rows} rows, changed ones");
    findings.push(Finding::at_most(&name, differences.len() as f64, 0.0, "rows"));
    for clock in run.offsets()? {
        let name = format!("that clock against {}'s, by nodes.json of a merge", clock.than);
        let (least, most) = (SKEW_MS as f64 - clock.error_ms, SKEW_MS as f64 + clock.error_ms);
        findings.push(Finding::between(&name, clock.offset_ms, (least, most), "ms"));
    }
    Ok(findings)
}
