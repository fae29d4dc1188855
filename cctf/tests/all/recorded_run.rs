//! The run that `make bench` uses: it is valid, and can be simulated.

use serde_json::Value;

use crate::{cctf, recorded, stderr};

#[test]
fn the_run_of_the_benchmarks_is_valid_and_keeps_every_law() {
    let logs = tempfile::tempdir().unwrap();
    let run = logs.path().join("bench");
    recorded::write(&run, 60_000, recorded::RATE).unwrap();
    let valid = cctf(&["validate"]).arg(&run).output().unwrap();
    let text = String::from_utf8_lossy(&valid.stdout);
    assert!(text.starts_with("valid: no broken rules in "), "{text}");
    let done = cctf(&["stats", "--lint", "--by", "module,link", "--format", "json"])
        .arg(&run)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}{}",
        String::from_utf8_lossy(&done.stdout),
        stderr(&done)
    );
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(found["notes"], serde_json::json!([]));
    let groups = found["groups"].as_array().unwrap();
    let of = |by: &str| groups.iter().filter(|group| group["by"] == by).count();
    assert_eq!((of("module"), of("link")), (6, 6), "{found}");
}
