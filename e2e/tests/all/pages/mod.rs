//! The report and the live page in a real Chromium, by mouse, by keyboard and with axe-core.

mod faults;
mod live;
mod ranking;
mod report;
mod spans;

use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, tool};
use e2e::exclusive;
use e2e::sources::root;
use serde_json::Value;

/// The URL of a file.
fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

/// Runs the checks of a job in Chromium. `e2e/browser/check.mjs` has the fields of a job.
fn visit(job: &Value) -> Done {
    // Both are installed by `make test-tools`. The script finds them by itself.
    tool("browser/node_modules").unwrap();
    let script = root().join("e2e/browser/check.mjs");
    let output = Command::new("node").arg(script).arg(job.to_string()).output();
    Done::from(output.unwrap())
}

/// Runs all checks of a job. Fails with their findings.
fn check(job: &Value) {
    // A browser uses all CPUs while it starts.
    let _machine = exclusive::machine();
    let done = visit(job);
    assert_eq!(done.code, Some(0), "{job}\n{}\n{}", done.stdout, done.stderr);
    let made = done.json().unwrap();
    assert!(
        made["done"].as_array().is_some_and(|made| made.len() >= 4),
        "{made}"
    );
}
