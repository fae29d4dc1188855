//! CPU time by endpoint from `process.cpu.time`. Requests with known CPU times arrive in a varying mix; then the CPU times are
//! removed from their rows and estimated.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context;
use e2e::binaries::{Done, command_in};
use e2e::http;
use e2e::rows;
use serde_json::Value;

use super::finding::Finding;
use super::stack::Stack;

/// CPU times of the requests. They differ so much that a row's CPU time shows which kind of request it was.
const BURNS_MS: [f64; 3] = [1.0, 3.0, 9.0];
/// Times between requests in ms, for each phase and kind of request. A phase lasts a second. The rates of no two kinds vary in
/// the same way.
const GAPS_MS: [[u64; 3]; 5] = [
    [20, 200, 100],
    [200, 40, 60],
    [50, 50, 300],
    [200, 100, 30],
    [30, 300, 60],
];
const PHASES: usize = 65;
const PHASE: Duration = Duration::from_secs(1);
/// Time between two samples.
const SAMPLE_MS: &str = "100";
/// CPU time of a request in addition to its work: for the connection, HTTP, the span and its export.
const OVERHEAD_MS: f64 = 0.6;

/// Drives the load, and compares the estimates with the known CPU times.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let variables = [("WORKERS", "4"), ("OTEL_METRIC_EXPORT_INTERVAL", SAMPLE_MS)];
    let stack = Stack::start(bin_dir, &variables)?;
    let address = stack.service.address("listening")?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..BURNS_MS.len())
            .map(|burn| scope.spawn(move || drive(address, burn, begin)))
            .collect();
        drivers.into_iter().try_for_each(|driver| match driver.join() {
            Ok(done) => done,
            Err(_) => Err(anyhow::anyhow!("a driver's thread panicked")),
        })
    })?;
    let logs = stack.stop()?;
    let folder = logs.path().join("r");
    let file = folder.join("cctf/invocations.jsonl");
    fs::write(&file, without_cpu_times(&rows::lines(&file)?))?;
    let mut command = command_in(bin_dir, "cctf")?;
    command.args(["stats", "--cpu", "--format", "json"]).arg(&folder);
    let found = Done::from(command.output().context("cannot start cctf stats")?).json()?;
    Ok(BURNS_MS.map(|burn_ms| finding(&found, burn_ms)).into())
}

fn drive(address: SocketAddr, burn: usize, begin: Instant) -> anyhow::Result<()> {
    let path = format!("/work?cpu_ms={}", BURNS_MS[burn]);
    let mut next = begin;
    while let phase = next.duration_since(begin).as_secs() as usize
        && phase < PHASES
    {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        http::send(address, "GET", &path, &[], b"")?;
        next += Duration::from_millis(GAPS_MS[phase % GAPS_MS.len()][burn]);
    }
    std::thread::sleep(PHASE);
    Ok(())
}

/// The rows as an SDK without CPU times would produce them, with a different route for each CPU time.
fn without_cpu_times(rows: &[Value]) -> String {
    let mut text = String::new();
    for row in rows {
        let mut row = row.clone();
        let cpu_ms = row["cpu_time_ms"].as_f64().unwrap_or(0.0);
        let distance = |burn: &f64| (cpu_ms / burn).ln().abs();
        let nearest = BURNS_MS
            .iter()
            .min_by(|left, right| distance(left).total_cmp(&distance(right)));
        row["route"] = nearest.map_or(Value::Null, |burn| route(*burn).into());
        row["cpu_time_ms"] = Value::Null;
        text += &row.to_string();
        text.push('\n');
    }
    text
}

fn route(burn_ms: f64) -> String {
    format!("/burn/{burn_ms}")
}

fn finding(found: &Value, burn_ms: f64) -> Finding {
    let modules = found["modules"].as_array().into_iter().flatten();
    let mut endpoints = modules.flat_map(|module| module["endpoints"].as_array().into_iter().flatten());
    let endpoint = endpoints.find(|endpoint| endpoint["route"] == route(burn_ms).as_str());
    let cpu_ms = endpoint.and_then(|endpoint| endpoint["cpu_ms"].as_f64());
    Finding::between(
        &format!("CPU time of a request of {burn_ms} ms, by regression"),
        cpu_ms.unwrap_or(f64::NAN),
        (0.9 * burn_ms, 1.1 * burn_ms + OVERHEAD_MS),
        "ms",
    )
}
