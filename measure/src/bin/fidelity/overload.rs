//! The load is twice the capacity. The queue becomes full, further requests get 503 with Retry-After, and requests in the
//! queue are served as before.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use e2e::http::{self, Response};
use serde_json::Value;

use super::finding::{Finding, quantile};
use super::stack::{Row, Stack};

/// 2 ms of work on one slot: a capacity of 500 requests per second.
const WORK: &str = "/work?cpu_ms=2";
const RATE: f64 = 1000.0;
const DURATION: &str = "15s";
const SEED: &str = "1";
const QUEUE_LIMIT: f64 = 100.0;

/// Drives the load and checks answers and rows.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let limit = QUEUE_LIMIT.to_string();
    let stack = Stack::start(bin_dir, &[("WORKERS", "1"), ("QUEUE_LIMIT", &limit)])?;
    let address = stack.service.address("listening")?;
    let loaded = AtomicBool::new(false);
    let (report, retry_after) = std::thread::scope(|scope| {
        let refused = scope.spawn(|| first_refusal(address, &loaded));
        let report = stack.load_poisson(bin_dir, WORK, RATE, DURATION, SEED);
        loaded.store(true, Ordering::Relaxed);
        let refused = refused
            .join()
            .map_err(|_| anyhow::anyhow!("the thread that looks for a 503 panicked"))?;
        anyhow::Ok((
            report?,
            refused.and_then(|answer| answer.header("retry-after").map(str::to_owned)),
        ))
    })?;
    let after = http::send(address, "GET", WORK, &[], b"")?.status;
    let rows = stack.finish("/work")?;
    let answers = Answers::read(&report, retry_after, after)?;
    let mut findings = answers.findings();
    findings.extend(answers.findings_of_rows(&rows));
    Ok(findings)
}

/// The answers to the load, and to single requests during and after it.
struct Answers {
    /// Number of answers by status.
    statuses: BTreeMap<String, f64>,
    requests: f64,
    retry_after: Option<String>,
    /// Status of a request after the load.
    after: u16,
}

impl Answers {
    fn read(report: &Value, retry_after: Option<String>, after: u16) -> anyhow::Result<Self> {
        let statuses = report["statuses"]
            .as_object()
            .context("no statuses in the load's report")?;
        Ok(Self {
            statuses: statuses
                .iter()
                .map(|(status, count)| (status.clone(), count.as_f64().unwrap_or(f64::NAN)))
                .collect(),
            requests: report["requests"].as_f64().unwrap_or(f64::NAN),
            retry_after,
            after,
        })
    }

    fn findings(&self) -> Vec<Finding> {
        let statuses: Vec<&str> = self.statuses.keys().map(String::as_str).collect();
        let refused = self.statuses.get("503").copied().unwrap_or(0.0) / self.requests;
        let seconds = self.retry_after.as_deref().map(str::parse::<u32>);
        vec![
            Finding::new(
                "twice the capacity: statuses",
                statuses.join(", "),
                "200, 503".to_owned(),
                statuses == ["200", "503"],
            ),
            Finding::new(
                "twice the capacity: Retry-After of a 503",
                self.retry_after.clone().unwrap_or_else(|| "none".to_owned()),
                "seconds".to_owned(),
                matches!(seconds, Some(Ok(_))),
            ),
            Finding::between("twice the capacity: share of 503", refused, (0.4, 0.6), ""),
            Finding::new(
                "twice the capacity: a request after it",
                self.after.to_string(),
                "200".to_owned(),
                self.after == 200,
            ),
        ]
    }

    fn findings_of_rows(&self, rows: &[Row]) -> Vec<Finding> {
        let served: Vec<&Row> = rows.iter().filter(|row| row.status == 200).collect();
        let mean_ms = served.iter().map(|row| row.service_ms()).sum::<f64>() / served.len() as f64;
        let mut queued: Vec<f64> = served.iter().map(|row| row.queue_ms()).collect();
        // Most served requests arrive at a full queue. Each waits for the service of all requests in the queue.
        let full_ms = QUEUE_LIMIT * mean_ms;
        vec![
            Finding::between(
                "twice the capacity: median wait of served requests",
                quantile(&mut queued, 0.5),
                (0.8 * full_ms, 1.05 * full_ms),
                "ms",
            ),
            Finding::new(
                "twice the capacity: rows",
                rows.len().to_string(),
                "every request".to_owned(),
                rows.len() as f64 >= self.requests,
            ),
        ]
    }
}

/// Sends one request after the other until the first 503, which is returned, or until the load ends.
fn first_refusal(address: SocketAddr, loaded: &AtomicBool) -> Option<Response> {
    while !loaded.load(Ordering::Relaxed) {
        let answer = http::send(address, "GET", WORK, &[], b"").ok();
        if let Some(refused) = answer.filter(|answer| answer.status == 503) {
            return Some(refused);
        }
    }
    None
}
