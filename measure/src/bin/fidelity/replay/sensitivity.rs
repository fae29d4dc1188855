//! Replays after one change of the service or of the requests. The verdict on each must be "different", and its first cause
//! must be the change.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde_json::Value;
use tempfile::TempDir;

use super::site::{Site, Verdict, Word};
use crate::finding::Finding;

/// Request to the first module. The header for the next hop contains the request to the second module.
const FRONT_WORK: &str = "/work?cpu_ms=1";
/// Rate at which the second module's two workers have a third of their maximum load, so that the changes must show without long
/// queues.
const RATE: f64 = 330.0;
const DURATION: &str = "20s";
/// Rate that gives a load of 40% on two workers, and of 80% on one.
const RATE_OF_ONE: f64 = 380.0;
const FRONT: &str = "front";
const BACK: &str = "back";
/// The module that the second one calls in only one of the replays.
const FAR: &str = "far";
const BACK_WORK: &str = "/work?cpu_ms=2";
const BACK_SLOWER: &str = "/work?cpu_ms=2&sleep_ms=1";
const BACK_CHEAPER: &str = "/work?cpu_ms=1.8";

/// A change, and the first cause that the verdict must give.
struct Change {
    name: &'static str,
    /// Topics of causes in the JSON of `cctf compare`. The first cause must have one of these.
    causes: &'static [&'static str],
    /// The module that the cause must name. `None` if this cause names no module.
    module: Option<&'static str>,
}

/// Replays a recording with each change.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let mut site = Site::start(bin_dir)?;
    let far = site.service(FAR, &[("WORKERS", "2")])?;
    let back = site.service(BACK, &[("WORKERS", "2"), ("NEXT_URL_ALLOW", &far)])?;
    let workers = [
        ("WORKERS", "2"),
        ("SLOT_POLICY", "released"),
        ("NEXT_URL_ALLOW", &back),
    ];
    let front = site.service(FRONT, &workers)?;
    let next = |work: &str| format!("X-Next-Url: {back}{work}");
    let unchanged = next(BACK_WORK);
    let header = ["--header", unchanged.as_str()];
    let recording = site.record("recorded", &front, FRONT_WORK, (RATE, DURATION), &header)?;
    let without_one = without_one_request(&recording)?;
    let extra = next(&format!("{BACK_WORK}&call_url={far}/work"));
    let (slower, cheaper) = (next(BACK_SLOWER), next(BACK_CHEAPER));
    let changes: [(&str, &Path, &[&str], Change); 5] = [
        (
            "slower",
            &recording,
            &["--header", &slower],
            Change::of("1 ms more in one module", &["service_mean"], Some(BACK)),
        ),
        (
            "cheaper",
            &recording,
            &["--header", &cheaper],
            Change::of(
                "10% less CPU time in one module",
                &["cpu_mean", "service_mean"],
                Some(BACK),
            ),
        ),
        (
            "faster",
            &recording,
            &["--header", &unchanged, "--speed", "1.02"],
            Change::of("arrivals 2% faster", &["arrival_rate", "arrival_offset"], None),
        ),
        (
            "lost",
            without_one.path(),
            &header,
            Change::of(
                "a request that is lost, as a retry would be",
                &["call_graph"],
                None,
            ),
        ),
        (
            "extra",
            &recording,
            &["--header", &extra],
            Change::of("one more call", &["call_graph"], None),
        ),
    ];
    let mut findings = Vec::new();
    for (run_id, of, flags, change) in &changes {
        let replayed = site.replay(of, run_id, &front, flags)?;
        findings.push(change.finding(&site.compare(&recording, &replayed)?));
    }
    findings.push(fewer_workers(bin_dir)?);
    Ok(findings)
}

/// Half of the workers: records one service with two workers, then replays with one.
fn fewer_workers(bin_dir: &Path) -> anyhow::Result<Finding> {
    let mut site = Site::start(bin_dir)?;
    let url = site.service(FRONT, &[("WORKERS", "2")])?;
    let recording = site.record("recorded", &url, BACK_WORK, (RATE_OF_ONE, DURATION), &[])?;
    site.stop_services()?;
    let url = site.service(FRONT, &[("WORKERS", "1")])?;
    let replayed = site.replay(&recording, "half", &url, &[])?;
    let change = Change::of("half of the workers", &["slots"], Some(FRONT));
    Ok(change.finding(&site.compare(&recording, &replayed)?))
}

/// A copy of a run in which the call of one request in its middle is missing, as if a retry had not been sent.
fn without_one_request(run: &Path) -> anyhow::Result<TempDir> {
    let copy = tempfile::tempdir()?;
    let (from, to) = (run.join("cctf"), copy.path().join("cctf"));
    fs::create_dir(&to)?;
    for entry in fs::read_dir(&from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    let roots = |line: &&str| line.contains("\"parent_span_id\":null");
    let calls = fs::read_to_string(from.join("calls.jsonl"))?;
    let all: Vec<&str> = calls.lines().filter(roots).collect();
    let lost = *all.get(all.len() / 2).context("the recording has no request")?;
    let trace: Value = serde_json::from_str(lost)?;
    let trace = trace["trace_id"].as_str().context("no trace id")?;
    for file in ["calls.jsonl", "invocations.jsonl"] {
        let text = fs::read_to_string(from.join(file))?;
        let kept = text.lines().filter(|line| !line.contains(trace));
        let kept: String = kept.flat_map(|line| [line, "\n"]).collect();
        fs::write(to.join(file), kept)?;
    }
    Ok(copy)
}

impl Change {
    const fn of(name: &'static str, causes: &'static [&'static str], module: Option<&'static str>) -> Self {
        Self { name, causes, module }
    }

    fn finding(&self, verdict: &Verdict) -> Finding {
        let first = &verdict.json["verdict"]["causes"][0];
        let is_topic = first["topic"]
            .as_str()
            .is_some_and(|topic| self.causes.contains(&topic));
        let is_module = self.module.is_none() || first["module"].as_str() == self.module;
        Finding::new(
            self.name,
            format!("{:?}: {}", verdict.word, verdict.cause()),
            format!("differs by {}", self.causes.join(" or ")),
            verdict.word == Word::Differs && is_topic && is_module,
        )
    }
}
