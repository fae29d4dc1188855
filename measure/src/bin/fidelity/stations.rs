//! Stations with one and with two slots at three loads, and a chain whose slots are held or released during calls. From
//! arrivals, own times and slots, the station simulator computes waiting times. They must be the recorded ones.
//!
//! If slots are held, the simulator repeats the recorded order of events, so each waiting time is exact. Rows do not state when
//! exactly a slot was released for a call, so waiting times with released slots are only close.

use std::path::Path;

use anyhow::Context;
use e2e::child::Child;
use plan::plan::{Plan, Regressed, Window, read};
use plan::stations::{Failures, fits, load, simulate_with, waits};
use rundir::parts::Target;

use super::finding::{Finding, quantile};
use super::stack::Stack;

/// Utilisations that the rates shall cause. The service's overhead makes the measured ones a little higher.
const LOADS: [f64; 3] = [0.5, 0.7, 0.85];
/// The two stations. One slot computes. Two slots mostly sleep, because the driver and the normalizer need CPUs, too.
const STATIONS: [(u32, &str, f64); 2] = [
    (1, "/work?cpu_ms=2", 2.1),
    (2, "/work?cpu_ms=0.2&sleep_ms=8", 8.4),
];
/// The first service of the chain calls the second one for each request.
const FRONT: &str = "/work?cpu_ms=1";
const BACK: &str = "/work?cpu_ms=1.5";
const CHAIN_RATE: f64 = 200.0;
/// Seed of all loads. They differ nevertheless, because each has its own rate.
const SEED: &str = "1";
/// Length of each of the eight loads as a share of `--duration`.
const SHARE: f64 = 0.125;
/// Maximum difference if slots are held, where waiting times are exact to the nanosecond.
const HELD_MS_MAX: f64 = 0.001;
const RELEASED_P95_MS_MAX: f64 = 0.5;
const RELEASED_MEAN_ERROR_MAX: f64 = 0.05;

/// Drives eight loads, and compares the waiting times.
pub fn check(bin_dir: &Path, duration: &str) -> anyhow::Result<Vec<Finding>> {
    let duration = share_of(duration)?;
    let mut findings = Vec::new();
    for (slots, work, service_ms) in STATIONS {
        for load in LOADS {
            let rate = 1e3 * load * f64::from(slots) / service_ms;
            let workers = slots.to_string();
            let stack = Stack::start(bin_dir, &[("WORKERS", &workers), ("QUEUE_LIMIT", "100000")])?;
            stack.load_poisson(bin_dir, work, rate, &duration, SEED)?;
            let compared = Compared::new(stack)?;
            let station = if slots == 1 { "one slot" } else { "two slots" };
            let name = format!("{station} at {:.0} %", 100.0 * load);
            findings.extend(compared.findings(&name, true));
        }
    }
    for policy in ["held", "released"] {
        let stack = chain(bin_dir, policy, &duration)?;
        let compared = Compared::new(stack)?;
        findings.extend(compared.findings(&format!("chain, {policy}"), policy == "held"));
    }
    Ok(findings)
}

/// A share of a duration such as 120s.
fn share_of(duration: &str) -> anyhow::Result<String> {
    let seconds: f64 = duration
        .strip_suffix('s')
        .and_then(|seconds| seconds.parse().ok())
        .with_context(|| format!("the part stations takes a duration in seconds, not {duration}"))?;
    Ok(format!("{:.0}ms", 1e3 * SHARE * seconds))
}

/// Two services with one slot each, after a load on the first one. The second service has been stopped.
fn chain(bin_dir: &Path, policy: &str, duration: &str) -> anyhow::Result<Stack> {
    let common = [
        ("WORKERS", "1"),
        ("QUEUE_LIMIT", "100000"),
        ("SLOT_POLICY", policy),
    ];
    let mut stack = Stack::start(bin_dir, &common)?;
    let otlp = format!("http://127.0.0.1:{}", stack.otlp_port()?);
    let origin = stack.service.url("listening")?;
    let next = format!("{origin}{BACK}");
    let own = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
        ("OTEL_SERVICE_NAME", "front"),
        ("NODE_ID", "n1"),
        ("STAGE", "edge"),
        ("DEFAULT_NEXT_URL", &next),
        ("NEXT_URL_ALLOW", &origin),
    ];
    let front = Child::service(bin_dir, &[&own, common.as_slice()].concat())?;
    let back = std::mem::replace(&mut stack.service, front);
    stack.load_poisson(bin_dir, FRONT, CHAIN_RATE, duration, SEED)?;
    back.stop()?;
    Ok(stack)
}

/// A recorded run, compared with its simulation.
struct Compared {
    requests: usize,
    /// Absolute difference between recorded and simulated waiting time of each request, milliseconds.
    differences: Vec<f64>,
    recorded_ms: f64,
    simulated_ms: f64,
}

impl Compared {
    fn new(stack: Stack) -> anyhow::Result<Self> {
        let logs = stack.stop()?;
        let found = Target::Folder(logs.path().join("r")).find()?;
        let (run, first) = found.context("the load left no run")?;
        let (recorded, span) = read(&run, &first, Window::default(), &mut |_| {})?;
        let plan = Plan::new(recorded, span, &Regressed::default());
        let load = load(&plan);
        let outcomes = simulate_with(&load, Failures::AsRecorded);
        let difference = |(recorded, simulated): (&i64, &i64)| (recorded - simulated).abs() as f64 / 1e6;
        let by_module = waits(&load, &outcomes);
        let differences = by_module
            .iter()
            .flat_map(|waits| waits.recorded.iter().zip(&waits.simulated).map(difference));
        let fits = fits(&load, &outcomes);
        let total: usize = fits.iter().map(|fit| fit.count).sum();
        let mean = |of: fn(&plan::stations::Pair) -> f64| {
            let sum: f64 = fits.iter().map(|fit| of(&fit.mean) * fit.count as f64).sum();
            sum / total as f64
        };
        Ok(Self {
            differences: differences.collect(),
            recorded_ms: mean(|pair| pair.recorded),
            simulated_ms: mean(|pair| pair.simulated),
            requests: load.visits.len(),
        })
    }

    fn findings(mut self, name: &str, is_held: bool) -> Vec<Finding> {
        let requests = self.requests;
        let mean = Finding::between(
            &format!("{name}: simulated mean wait, {requests} requests"),
            self.simulated_ms,
            (
                (1.0 - RELEASED_MEAN_ERROR_MAX) * self.recorded_ms,
                (1.0 + RELEASED_MEAN_ERROR_MAX) * self.recorded_ms,
            ),
            "ms",
        );
        let (share, most) = if is_held {
            (1.0, HELD_MS_MAX)
        } else {
            (0.95, RELEASED_P95_MS_MAX)
        };
        let what = if is_held { "maximum" } else { "p95" };
        let difference = Finding::at_most(
            &format!("{name}: recorded against simulated wait, {what}"),
            quantile(&mut self.differences, share),
            most,
            "ms",
        );
        vec![difference, mean]
    }
}
