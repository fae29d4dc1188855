//! Strategies: what they read, and what happens to wrong ones.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use place::assignments::Choices;
use place::evaluation::Metric;
use place::predictor::Predictor;
use place::ranking::{Proposal, rank};
use place::site::Site;
use place::strategy::{Limits, StrategyError, propose, summary};
use place::tiers::Tiers;
use serde_json::Value;

use crate::arithmetic::tiers;
use crate::run::{Shop, site};
use crate::theory::options;

const TIERS: &str =
    r#"{"nodes": {"ep0": {"cores": 8}, "edge0": {"cores": 8}}, "modules": {"front": {"on": ["ep0"]}}}"#;
/// Long enough for a program that does nothing, on a busy machine.
const TIME: Duration = Duration::from_secs(180);

/// A shell script in a folder of its own.
struct Script {
    _folder: tempfile::TempDir,
    path: PathBuf,
}

fn script(text: &str) -> Script {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("strategy");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    Script {
        _folder: folder,
        path,
    }
}

struct Given {
    site: Site,
    tiers: Tiers,
}

impl Given {
    fn new() -> Self {
        let site = site(&Shop::idle(20)).unwrap();
        let tiers = tiers(&site, TIERS);
        Self { site, tiers }
    }

    fn with<T>(&self, of: impl FnOnce(&Predictor<'_>) -> T) -> T {
        let choices = Choices::new(&self.site, &self.tiers);
        of(&Predictor {
            site: &self.site,
            tiers: &self.tiers,
            choices: &choices,
            slots: Default::default(),
            scale: 1.0,
        })
    }

    fn propose(&self, program: &Path, time: Duration) -> Result<Vec<Proposal>, StrategyError> {
        let limits = Limits {
            time,
            is_stopped: &|| false,
        };
        self.with(|predictor| {
            let input = summary(predictor, Metric::P95).unwrap();
            propose(program, predictor, &input, &limits)
        })
    }
}

#[test]
fn a_strategy_reads_the_run_and_its_placements_are_ranked() {
    let given = Given::new();
    let echo = script(
        r#"grep -q '"module":"back","recorded_on":\["edge0"\],"may_run_on":\["edge0","ep0"\]' || exit 3
           echo '{"placements": [{"name": "together", "modules": {"back": "ep0"}}, {"modules": {}}]}'"#,
    );
    let proposals = given.propose(&echo.path, TIME).unwrap();
    let names: Vec<&str> = proposals.iter().map(|proposal| proposal.name.as_str()).collect();
    assert_eq!(names, ["together", "2"]);
    let ranking = given
        .with(|predictor| rank(predictor, proposals, &options(), &|_, _, _| true))
        .unwrap();
    let places: Vec<usize> = ranking.proposals.iter().map(|(_, place)| *place).collect();
    assert_eq!(places, [0, 1], "without a network, both together are better");
}

#[test]
fn the_input_has_what_the_run_and_the_tiers_state() {
    let input = Given::new().with(|predictor| summary(predictor, Metric::P99).unwrap());
    let input: Value = serde_json::from_slice(&input).unwrap();
    assert_eq!(input["by"], "p99");
    let front = &input["modules"][1];
    assert_eq!(
        (front["module"].as_str(), front["slots"].as_u64()),
        (Some("front"), Some(1_000))
    );
    assert_eq!(front["may_run_on"], serde_json::json!(["ep0"]));
    assert!(
        (front["from_outside_per_s"].as_f64().unwrap() - 5.0).abs() < 1e-6,
        "{front}"
    );
    assert!((front["cpu_ms"].as_f64().unwrap() - 1.5).abs() < 1e-9);
    assert_eq!(front["calls"][0]["module"], "back");
    assert_eq!(front["calls"][0]["bytes_out"].as_f64(), Some(1_000.0));
    let link = &input["links"][0];
    assert_eq!(
        (link["u"].as_str(), link["delay_ms"].as_f64()),
        (Some("ep0"), Some(5.0))
    );
}

#[test]
fn a_wrong_strategy_gets_one_sentence() {
    let given = Given::new();
    for (text, cause) in [
        ("echo nonsense", "wrote no placements: it is not valid JSON"),
        ("true", "wrote no placements: it is empty"),
        (
            r#"echo '{"placements": []}'"#,
            "wrote no placements: placements is empty",
        ),
        (
            r#"echo '{"placements": [{"modules": {"back": 7}}]}'"#,
            "placements[0].modules.back must be a text",
        ),
        (
            r#"echo '{"placements": [{"modules": {"back": "moon"}}]}'"#,
            r#"places module "back" on the unknown node "moon"; use one of "edge0", "ep0""#,
        ),
        (
            r#"echo '{"placements": [{"modules": {"cart": "ep0"}}]}'"#,
            r#"places the unknown module "cart"; use one of "back", "front""#,
        ),
        (
            r#"echo '{"placements": [{"name": "x", "modules": {"front": "edge0"}}]}'"#,
            r#"proposes "x", which the tiers do not allow"#,
        ),
        ("echo no idea >&2; exit 3", "failed (exit code 3): no idea"),
        ("kill -SEGV $$", "failed (signal: 11"),
        ("cat /dev/zero", "wrote more than 1 MiB and was stopped"),
        (
            r#"printf '{"placements": ['; for i in $(seq 65); do printf '{"modules": {}},'; done; echo '{"modules": {}}]}'"#,
            "wrote 66 placements, and the maximum is 64",
        ),
    ] {
        let wrong = script(text);
        let error = given.propose(&wrong.path, TIME).unwrap_err().to_string();
        assert!(
            error.starts_with("strategy ") && error.contains(cause),
            "{text}: {error}"
        );
        assert!(!error.contains('\n'), "{error}");
    }
    let missing = given
        .propose(Path::new("nowhere/strategy"), TIME)
        .unwrap_err()
        .to_string();
    assert!(
        missing.starts_with("cannot start strategy nowhere/strategy"),
        "{missing}"
    );
}

/// Proposes with an endless strategy, which has this much time. Returns the error and the process that the strategy started, if
/// the time was long enough for that.
fn propose_endlessly(seconds: u64) -> Option<(String, String)> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pid");
    let endless = script(&format!("sleep 1000 & echo $! > {}; wait", file.display()));
    let error = Given::new()
        .propose(&endless.path, Duration::from_secs(seconds))
        .unwrap_err()
        .to_string();
    let child = fs::read_to_string(&file)
        .ok()
        .filter(|child| child.ends_with('\n'))?;
    Some((error, child.trim().to_owned()))
}

#[test]
fn an_endless_strategy_is_stopped_with_what_it_started() {
    let mut times = [1, 2, 4, 8, 16, 32, 64].into_iter();
    let (seconds, (error, child)) = times
        .find_map(|seconds| Some((seconds, propose_endlessly(seconds)?)))
        .expect("a strategy that starts a process");
    assert!(
        error.contains(&format!("did not end within {seconds} s and was stopped")),
        "{error}"
    );
    // A killed process is gone, or waits for its parent to take note.
    let is_gone = || {
        let state = fs::read_to_string(format!("/proc/{child}/stat"));
        state.map_or(true, |state| state.contains(") Z "))
    };
    let since = Instant::now();
    while !is_gone() {
        assert!(since.elapsed() < TIME, "sleep still runs");
        std::thread::sleep(Duration::from_millis(20));
    }
}
