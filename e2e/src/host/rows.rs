//! [`Sample`]: a node's rows of `host_metrics.jsonl` and `link_metrics.jsonl` for one interval.

use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

use crate::rows;

/// The values of a node's rows for one interval, from both files. An unknown value is NaN.
#[derive(Debug, Clone, Copy)]
pub struct Sample {
    /// End of the interval, in milliseconds since the Unix epoch.
    pub at_ms: f64,
    pub interval_ms: f64,
    /// Utilisation, percent of all CPUs.
    pub cpu_util: f64,
    pub mem_free_mb: f64,
    pub mem_used_mb: f64,
    /// Bytes per second. So are the next three values.
    pub disk_read: f64,
    pub disk_written: f64,
    pub received: f64,
    pub sent: f64,
}

/// The samples of a node in order of time. The first one is left out, because it has no rates.
pub fn samples(cctf: &Path, node: &str) -> anyhow::Result<Vec<Sample>> {
    let of_node = |file: &str| {
        let mut rows = rows::lines(&cctf.join(file))?;
        let nic = format!("{node}.nic");
        rows.retain(|row| {
            rows::text(row, "node") == Some(node) && rows::text(row, "link").is_none_or(|link| link == nic)
        });
        rows.sort_by(|one, other| number(one, "ts_ms").total_cmp(&number(other, "ts_ms")));
        anyhow::Ok(rows)
    };
    let (hosts, links) = (of_node("host_metrics.jsonl")?, of_node("link_metrics.jsonl")?);
    ensure!(
        hosts.len() == links.len(),
        "{node} has {} rows of its host, but {} of its interfaces",
        hosts.len(),
        links.len()
    );
    let pairs = hosts.iter().zip(&links).skip(1);
    let samples: Vec<Sample> = pairs
        .map(|(host, link)| {
            ensure!(
                host["ts_ms"] == link["ts_ms"],
                "{host} and {link} have different timestamps"
            );
            Ok(Sample {
                at_ms: number(host, "ts_ms"),
                interval_ms: number(host, "interval_ms"),
                cpu_util: number(host, "cpu_util"),
                mem_free_mb: number(host, "mem_free_mb"),
                mem_used_mb: number(host, "mem_used_mb"),
                disk_read: number(host, "disk_read_Bps"),
                disk_written: number(host, "disk_write_Bps"),
                received: number(link, "rx_Bps"),
                sent: number(link, "tx_Bps"),
            })
        })
        .collect::<anyhow::Result<_>>()?;
    samples
        .first()
        .with_context(|| format!("{node} has no samples"))?;
    Ok(samples)
}

fn number(row: &Value, field: &str) -> f64 {
    rows::number(row, field).unwrap_or(f64::NAN)
}
