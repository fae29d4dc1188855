//! `cctf stats --cpu`: runs without samples and with too few, and the formats.

use std::fs;
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::{cctf, stderr};

const ROW: &str = r#"{"trace_id":"00000000000000000000000000000001","span_id":"0000000000000001","parent_id":null,"parent_span_id":null,"module_id":"front","instance_id":"i","ts_enqueue":1700000000000.000000,"ts_start":1700000000000.000000,"ts_end":1700000000004.500000,"node":"n","stage":"edge","method":"GET","path":"/a","bytes_in":null,"bytes_out":null,"cpu_time_ms":null,"queue_time_ms":null,"service_time_ms":4.500000,"rt_ms":4.500000,"status":200,"downstream_ms":null,"kind":"server"}"#;
const SAMPLE: &str = r#"{"ts_ms":1700000000000.000000,"node_id":"n","stage":"edge","metric":"process.cpu.time","value":0.5,"instance_id":"i","module_id":"front","unit":"s"}"#;

/// A run with one request and these lines of system_stats.jsonl.
fn run(samples: &str, flags: &[&str]) -> Output {
    let logs: TempDir = tempfile::tempdir().unwrap();
    let files = logs.path().join("r/cctf");
    fs::create_dir_all(&files).unwrap();
    fs::write(files.join("invocations.jsonl"), format!("{ROW}\n")).unwrap();
    fs::write(files.join("system_stats.jsonl"), samples).unwrap();
    fs::write(
        files.join("run_meta.json"),
        r#"{"run_id":"r","ended_ts":1.000000}"#,
    )
    .unwrap();
    let folder = logs.path().join("r");
    let mut command = cctf(&["stats", "--cpu", &folder.to_string_lossy()]);
    command.args(flags).output().unwrap()
}

#[test]
fn a_run_without_samples_says_so() {
    let done = run("", &[]);
    assert!(done.status.success(), "{}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    assert_eq!(
        text,
        "no module lacks cpu_time_ms and has samples of process.cpu.time\n"
    );
}

#[test]
fn too_few_samples_give_a_reason() {
    let done = run(&format!("{SAMPLE}\n"), &["--format", "json"]);
    let found: Value = serde_json::from_slice(&done.stdout).unwrap();
    let endpoint = &found["modules"][0]["endpoints"][0];
    assert_eq!(endpoint["requests"], 1);
    assert_eq!(
        (&endpoint["cpu_ms"], &endpoint["reason"]),
        (&Value::Null, &"too_short".into())
    );
    let table = String::from_utf8_lossy(&run(&format!("{SAMPLE}\n"), &[]).stdout).into_owned();
    assert!(
        table.contains("front GET /a") && table.contains("0 samples"),
        "{table}"
    );
}

#[test]
fn damaged_lines_fail_and_csv_is_refused() {
    let done = run("{\"metric\":\"process.cpu.time\"\n", &[]);
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr(&done).contains("1 damaged line"), "{}", stderr(&done));
    let refused = run("", &["--format", "csv"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(stderr(&refused).contains("--format json"), "{}", stderr(&refused));
    for flag in ["--from", "--to", "--warmup"] {
        let refused = run("", &[flag, "1s"]);
        assert_eq!(refused.status.code(), Some(2), "{flag}");
        assert!(stderr(&refused).contains(flag), "{}", stderr(&refused));
    }
}
