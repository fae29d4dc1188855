//! Stand-ins replace the recorded services. Checks the verdict of `cctf compare`, and the CPU times of each request.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use e2e::binaries::{Done, command_in};
use e2e::rows::{lines, number, text};
use serde_json::Value;

use super::site::{Word, compare};
use crate::finding::Finding;

/// Minimum mean CPU time of an instance that is judged, ms. Below it, the cost of executing calls is a large part of
/// the CPU time.
const JUDGED_MS: f64 = 0.3;
/// Maximum deviation of an instance's mean CPU time.
const DEVIATION_MAX: f64 = 0.01;
/// Minimum coefficient of variation of CPU times whose correlation is judged.
const VARIATION_MIN: f64 = 0.1;
const CORRELATION_MIN: f64 = 0.95;

/// A recorded run that stand-ins repeat.
struct Scene {
    name: &'static str,
    args: &'static [&'static str],
}

const SCENES: [Scene; 3] = [
    Scene {
        name: "five endpoints",
        args: &["--rate", "100", "--duration", "45s", "--size", "65536"],
    },
    Scene {
        name: "chain",
        args: &[
            "--chain",
            "--endpoints",
            "gzip",
            "--rate",
            "40",
            "--duration",
            "60s",
            "--size",
            "10000-200000",
        ],
    },
    Scene {
        name: "chain, Poisson",
        args: &[
            "--chain",
            "--endpoints",
            "json",
            "--rate",
            "100",
            "--duration",
            "200s",
            "--arrivals",
            "poisson",
            "--size",
            "1000-100000",
        ],
    },
];

/// Records each scene, repeats it by stand-ins, and compares both runs.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let mut findings = Vec::new();
    for scene in &SCENES {
        let logs = tempfile::tempdir()?;
        let recorded = run(bin_dir, logs.path(), "recorded", scene.args)?;
        let of = recorded.to_str().context("the folder's name is not UTF-8")?;
        let repeated = run(bin_dir, logs.path(), "stand-ins", &["--stand-in", of])?;
        let verdict = compare(bin_dir, &recorded, &repeated)?;
        findings.push(Finding::new(
            &format!("{}: by stand-ins it is", scene.name),
            format!("{:?}: {}", verdict.word, verdict.cause()),
            "Same".to_owned(),
            verdict.word == Word::Same,
        ));
        let pairs = Pairs::read(&recorded, &repeated)?;
        findings.extend(pairs.findings(scene.name));
    }
    Ok(findings)
}

fn run(bin_dir: &Path, logs: &Path, run_id: &str, args: &[&str]) -> anyhow::Result<PathBuf> {
    let mut command = command_in(bin_dir, "cctf")?;
    command.args(["run", "--run-id", run_id, "--format", "json", "--logs-dir"]);
    command.arg(logs).args(args);
    Done::success("run", &mut command)?;
    Ok(logs.join(run_id))
}

/// CPU times of requests and of their repetitions, ms, by instance. The modules of the chain have the same name, so the module
/// cannot be the key.
struct Pairs {
    by_instance: HashMap<String, Vec<(f64, f64)>>,
    /// Number of recorded invocations that have no repetition.
    missing: usize,
}

impl Pairs {
    fn read(recorded: &Path, repeated: &Path) -> anyhow::Result<Self> {
        let mut originals = HashMap::new();
        for call in lines(&repeated.join("cctf/calls.jsonl"))? {
            if let (Some(original), Some(own)) = (text(&call, "replay_of_trace_id"), text(&call, "trace_id"))
            {
                originals.insert(own.to_owned(), original.to_owned());
            }
        }
        let mut times: HashMap<(String, String), f64> = HashMap::new();
        for row in lines(&repeated.join("cctf/invocations.jsonl"))? {
            let original = text(&row, "trace_id").and_then(|trace| originals.get(trace));
            if let (Some(original), Some(cpu_ms)) = (original, number(&row, "cpu_time_ms")) {
                times.insert((original.clone(), instance(&row)), cpu_ms);
            }
        }
        let mut pairs = Self {
            by_instance: HashMap::new(),
            missing: 0,
        };
        for row in lines(&recorded.join("cctf/invocations.jsonl"))? {
            let trace = text(&row, "trace_id").context("a row without trace")?.to_owned();
            let instance = instance(&row);
            match (number(&row, "cpu_time_ms"), times.get(&(trace, instance.clone()))) {
                (Some(first), Some(second)) => pairs
                    .by_instance
                    .entry(instance)
                    .or_default()
                    .push((first, *second)),
                _ => pairs.missing += 1,
            }
        }
        Ok(pairs)
    }

    fn findings(&self, scene: &str) -> Vec<Finding> {
        let mut findings = vec![Finding::at_most(
            &format!("{scene}: requests without a repetition"),
            self.missing as f64,
            0.0,
            "",
        )];
        let mut instances: Vec<_> = self.by_instance.iter().collect();
        instances.sort_by_key(|(instance, _)| *instance);
        for (instance, pairs) in instances {
            let (first, second) = (
                Moments::of(pairs.iter().map(|pair| pair.0)),
                Moments::of(pairs.iter().map(|pair| pair.1)),
            );
            let deviation = (second.mean / first.mean - 1.0).abs();
            let is_judged = first.mean > JUDGED_MS;
            let mean = format!(
                "{scene}: {instance}: mean CPU time {:.3} ms, deviation",
                first.mean
            );
            findings.push(match is_judged {
                true => Finding::at_most(&mean, deviation, DEVIATION_MAX, ""),
                false => Finding::note(&mean, &format!("{deviation:.3}"), ""),
            });
            let variation = first.deviation / first.mean;
            let name = format!("{scene}: {instance}: correlation per request, cv {variation:.2}");
            let correlation =
                covariance(pairs, first.mean, second.mean) / (first.deviation * second.deviation);
            findings.push(match is_judged && variation > VARIATION_MIN {
                true => Finding::between(&name, correlation, (CORRELATION_MIN, 1.0), ""),
                false => Finding::note(&name, &format!("{correlation:.3}"), ""),
            });
        }
        findings
    }
}

fn instance(row: &Value) -> String {
    let text = |field| text(row, field).unwrap_or_default();
    format!("{} ({})", text("node"), text("instance_id"))
}

struct Moments {
    mean: f64,
    deviation: f64,
}

impl Moments {
    fn of(values: impl Iterator<Item = f64> + Clone) -> Self {
        let count = values.clone().count() as f64;
        let mean = values.clone().sum::<f64>() / count;
        let squares: f64 = values.map(|value| (value - mean).powi(2)).sum();
        Self {
            mean,
            deviation: (squares / count).sqrt(),
        }
    }
}

fn covariance(pairs: &[(f64, f64)], first_mean: f64, second_mean: f64) -> f64 {
    let products: f64 = pairs
        .iter()
        .map(|(first, second)| (first - first_mean) * (second - second_mean))
        .sum();
    products / pairs.len() as f64
}
