//! Twice the capacity: the queue fills, what has no place is told to come again, and the rest is served as before.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use e2e::http::{self, Response};

use super::stack::{Row, Stack};
use super::{Finding, quantile};

/// 2 ms of work on one slot is a capacity of 500 a second.
const WORK: &str = "/work?cpu_ms=2";
const RATE: &str = "1000";
const DURATION: &str = "15s";
const QUEUE_LIMIT: f64 = 100.0;

/// Drives the load and looks at answers and rows.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let limit = QUEUE_LIMIT.to_string();
    let stack = Stack::start(bin_dir, &[("WORKERS", "1"), ("QUEUE_LIMIT", &limit)])?;
    let address = stack.service.address("listening")?;
    let load = [
        "--endpoint",
        WORK,
        "--rate",
        RATE,
        "--duration",
        DURATION,
        "--arrivals",
        "poisson",
    ];
    let loaded = AtomicBool::new(false);
    let (report, retry_after) = std::thread::scope(|scope| {
        let refused = scope.spawn(|| first_refusal(address, &loaded));
        let report = stack.load(bin_dir, &load);
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
    let statuses = report["statuses"]
        .as_object()
        .context("no statuses in the load's report")?;
    let only = statuses.keys().all(|status| status == "200" || status == "503");
    let requests = report["requests"].as_f64().unwrap_or(f64::NAN);
    let refused = statuses
        .get("503")
        .and_then(serde_json::Value::as_f64)
        .unwrap_or(0.0)
        / requests;
    let served: Vec<Row> = rows.iter().filter(|row| row.status == 200).copied().collect();
    let mean_ms = served.iter().map(Row::service_ms).sum::<f64>() / served.len() as f64;
    let mut queued: Vec<f64> = served.iter().map(Row::queue_ms).collect();
    // A full queue is its limit times one service: the wait of most who get in.
    let full_ms = QUEUE_LIMIT * mean_ms;
    let answered: Vec<&str> = statuses.keys().map(String::as_str).collect();
    Ok(vec![
        Finding::new(
            "twice the capacity: kinds of answer",
            answered.join(", "),
            "200, 503".to_owned(),
            only && statuses.len() == 2,
        ),
        Finding::new(
            "twice the capacity: Retry-After of a 503",
            retry_after.clone().unwrap_or_else(|| "none".to_owned()),
            "seconds".to_owned(),
            retry_after.is_some_and(|seconds| seconds.parse::<u32>().is_ok()),
        ),
        Finding::between("twice the capacity: share of 503", refused, (0.4, 0.6), ""),
        Finding::between(
            "twice the capacity: median wait of who got in",
            quantile(&mut queued, 0.5),
            (0.8 * full_ms, 1.05 * full_ms),
            "ms",
        ),
        Finding::new(
            "twice the capacity: rows",
            rows.len().to_string(),
            "every request".to_owned(),
            rows.len() as f64 >= requests,
        ),
        Finding::new(
            "twice the capacity: a request after it",
            after.to_string(),
            "200".to_owned(),
            after == 200,
        ),
    ])
}

/// The first 503 that a request of our own meets, one after the other, until the load is over.
fn first_refusal(address: SocketAddr, loaded: &AtomicBool) -> Option<Response> {
    while !loaded.load(Ordering::Relaxed) {
        let answer = http::send(address, "GET", WORK, &[], b"").ok();
        if let Some(refused) = answer.filter(|answer| answer.status == 503) {
            return Some(refused);
        }
    }
    None
}
