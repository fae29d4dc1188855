//! CPU time by endpoint from `process.cpu.time`. Requests with known CPU times arrive in a varying mix, and in a constant one. Then
//! the CPU times are removed from their rows and estimated.

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
/// Times between requests in ms, for each phase and kind of request. A phase lasts a second.
type Gaps = [[u64; BURNS_MS.len()]; 5];
/// The rates of no two kinds vary in the same way.
const VARYING_MS: Gaps = [
    [20, 200, 100],
    [200, 40, 60],
    [50, 50, 300],
    [200, 100, 30],
    [30, 300, 60],
];
/// Only the total rate varies, so no kind can be separated from the others.
const CONSTANT_MS: Gaps = [[40; 3], [100; 3], [60; 3], [200; 3], [80; 3]];
/// The reason of a missing estimate in a constant mix.
const NOT_SEPARABLE: &str = "not_separable";
const PHASES: usize = 65;
const PHASE: Duration = Duration::from_secs(1);
/// Time between two samples.
const SAMPLE_MS: &str = "100";
/// CPU time of a request in addition to its work: for the connection, HTTP, the span and its export.
const OVERHEAD_MS: f64 = 0.6;

/// Drives both loads, and compares the estimates with the known CPU times.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let varying = estimates(bin_dir, &VARYING_MS)?;
    let constant = estimates(bin_dir, &CONSTANT_MS)?;
    let findings = BURNS_MS.map(|burn_ms| {
        [
            estimated(&varying, burn_ms),
            covered(&varying, burn_ms),
            not_estimated(&constant, burn_ms),
        ]
    });
    Ok(findings.into_iter().flatten().collect())
}

/// The output of `cctf stats --cpu` for a load.
fn estimates(bin_dir: &Path, gaps_ms: &Gaps) -> anyhow::Result<Value> {
    let variables = [("WORKERS", "4"), ("OTEL_METRIC_EXPORT_INTERVAL", SAMPLE_MS)];
    let stack = Stack::start(bin_dir, &variables)?;
    let address = stack.service.address("listening")?;
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let drivers: Vec<_> = (0..BURNS_MS.len())
            .map(|burn| scope.spawn(move || drive(address, (gaps_ms, burn), begin)))
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
    Done::from(command.output().context("cannot start cctf stats")?).json()
}

fn drive(address: SocketAddr, (gaps_ms, burn): (&Gaps, usize), begin: Instant) -> anyhow::Result<()> {
    let path = format!("/work?cpu_ms={}", BURNS_MS[burn]);
    let mut next = begin;
    while let phase = next.duration_since(begin).as_secs() as usize
        && phase < PHASES
    {
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
        http::send(address, "GET", &path, &[], b"")?;
        next += Duration::from_millis(gaps_ms[phase % gaps_ms.len()][burn]);
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

fn endpoint(found: &Value, burn_ms: f64) -> Option<&Value> {
    let modules = found["modules"].as_array().into_iter().flatten();
    let mut endpoints = modules.flat_map(|module| module["endpoints"].as_array().into_iter().flatten());
    endpoints.find(|endpoint| endpoint["route"] == route(burn_ms).as_str())
}

fn estimated(found: &Value, burn_ms: f64) -> Finding {
    let cpu_ms = endpoint(found, burn_ms).and_then(|endpoint| endpoint["cpu_ms"].as_f64());
    Finding::between(
        &format!("CPU time of a request of {burn_ms} ms, by regression"),
        cpu_ms.unwrap_or(f64::NAN),
        (0.9 * burn_ms, 1.1 * burn_ms + OVERHEAD_MS),
        "ms",
    )
}

/// Whether the interval meets the possible CPU times: the work, and up to [`OVERHEAD_MS`].
fn covered(found: &Value, burn_ms: f64) -> Finding {
    let end = |index: usize| endpoint(found, burn_ms).and_then(|one| one["cpu_ms_interval"][index].as_f64());
    let (low_ms, high_ms) = (end(0).unwrap_or(f64::NAN), end(1).unwrap_or(f64::NAN));
    Finding::new(
        &format!("its 95% interval, for a request of {burn_ms} ms"),
        format!("{low_ms:.3} to {high_ms:.3} ms"),
        format!("meets {burn_ms} to {:.1} ms", burn_ms + OVERHEAD_MS),
        low_ms <= burn_ms + OVERHEAD_MS && high_ms >= burn_ms,
    )
}

/// Whether a constant mix gives no estimate, with the right reason.
fn not_estimated(found: &Value, burn_ms: f64) -> Finding {
    let endpoint = endpoint(found, burn_ms);
    let reason = endpoint.and_then(|endpoint| endpoint["reason"].as_str());
    let cpu_ms = endpoint.map_or(&Value::Null, |endpoint| &endpoint["cpu_ms"]);
    Finding::new(
        &format!("constant mix: a request of {burn_ms} ms"),
        reason.map_or_else(|| cpu_ms.to_string(), str::to_owned),
        NOT_SEPARABLE.to_owned(),
        reason == Some(NOT_SEPARABLE) && cpu_ms.is_null(),
    )
}
