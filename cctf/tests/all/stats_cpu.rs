//! `cctf stats --cpu`: runs with no samples or too few, the formats, and the estimates in the inventory.

use std::fs;
use std::path::{Path, PathBuf};
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

/// Ten minutes of requests to two endpoints, which take 2 ms and 6 ms of CPU time. The numbers of requests vary from second to
/// second.
fn varied_run(logs: &Path) -> PathBuf {
    let files = logs.join("r/cctf");
    fs::create_dir_all(&files).unwrap();
    let (mut invocations, mut samples, mut cpu_ms, mut number) = (String::new(), String::new(), 0, 0_u64);
    for second in 0..600_u64 {
        let at = 1_700_000_000_000 + second * 1000;
        let value = cpu_ms as f64 / 1e3;
        samples += &SAMPLE
            .replace("1700000000000", &at.to_string())
            .replace("0.5", &format!("{value:.3}"));
        samples.push('\n');
        let random = (second + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let (of_a, of_b) = (random >> 60, random >> 30 & 15);
        for request in 0..of_a + of_b {
            let begin = at + 10 + request * 30;
            let (route, burn_ms) = if request < of_a { ("/a", 2) } else { ("/b", 6) };
            cpu_ms += burn_ms;
            number += 1;
            invocations += &ROW
                .replace("1700000000000.", &format!("{begin}."))
                .replace("1700000000004.", &format!("{}.", begin + 4))
                .replace("\"/a\"", &format!("\"{route}\""))
                .replace("\"0000000000000001\"", &format!("\"{number:016x}\""))
                .replace(
                    "\"00000000000000000000000000000001\"",
                    &format!("\"{number:032x}\""),
                );
            invocations.push('\n');
        }
    }
    fs::write(files.join("invocations.jsonl"), invocations).unwrap();
    fs::write(files.join("system_stats.jsonl"), samples).unwrap();
    for empty in ["calls", "host_metrics", "link_metrics", "placement_events"] {
        fs::write(files.join(format!("{empty}.jsonl")), "").unwrap();
    }
    fs::write(
        files.join("nodes.json"),
        r#"[{"node_id":"n","stage":"edge","cpu_cores":2,"mem_mb":null}]"#,
    )
    .unwrap();
    fs::write(files.join("links.json"), "[]\n").unwrap();
    fs::write(files.join("module_inventory.json"), INVENTORY).unwrap();
    fs::write(files.join("run_meta.json"), RUN_META).unwrap();
    logs.join("r")
}

const INVENTORY: &str = r#"[
{"app_id":null,"module_id":"front","name":"front","type":"MODULE","resources":null,"instances":[{"instance_id":"i","node_id":"n","workers":null}],"endpoints":[{"method":"GET","route":"/a","calls":1},{"method":"GET","route":"/b","calls":1}],"mine":1.50}
]
"#;
const RUN_META: &str = r#"{"run_id":"r","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1700000000000.000000,"ended_ts":1700000700000.000000,"time_base":"unix_utc","counts":{"spans":0,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}}"#;

fn assert_regressed(inventory: &Path) {
    let found: Value = serde_json::from_slice(&fs::read(inventory).unwrap()).unwrap();
    let endpoints = found[0]["endpoints"].as_array().unwrap();
    assert_eq!(endpoints.len(), 2, "{found}");
    for (endpoint, burn_ms) in endpoints.iter().zip([2.0, 6.0]) {
        let ms = |name: &str| {
            endpoint[name]
                .as_f64()
                .unwrap_or_else(|| panic!("{name} in {endpoint}"))
        };
        assert!((ms("cpu_ms_mean") - burn_ms).abs() < 0.1 * burn_ms, "{endpoint}");
        assert!(
            ms("cpu_ms_low") <= ms("cpu_ms_mean") && ms("cpu_ms_mean") <= ms("cpu_ms_high"),
            "{endpoint}"
        );
        assert_eq!(endpoint["cpu_src"], "regressed");
    }
    assert_eq!(found[0]["mine"], 1.5, "a field of somebody else");
}

#[test]
fn estimates_are_written_to_the_inventory_of_an_ended_run() {
    let logs = tempfile::tempdir().unwrap();
    let run = varied_run(logs.path());
    let inventory = run.join("cctf/module_inventory.json");
    let write = || {
        cctf(&["stats", "--cpu", "--write-inventory"])
            .arg(&run)
            .output()
            .unwrap()
    };
    // A normalizer still has the lock of the run.
    fs::write(run.join(".lock"), "").unwrap();
    let lock = fs::File::open(run.join(".lock")).unwrap();
    lock.lock().unwrap();
    let refused = write();
    assert!(
        refused.status.code() == Some(2) && stderr(&refused).contains("has not ended"),
        "{}",
        stderr(&refused)
    );
    drop(lock);
    assert_eq!(fs::read_to_string(&inventory).unwrap(), INVENTORY);
    let done = write();
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(stderr(&done).contains("2 estimates in "), "{}", stderr(&done));
    assert_regressed(&inventory);
    let estimated = fs::read_to_string(&inventory).unwrap();
    // Two modules with the same name get no estimate.
    let module = INVENTORY.trim_matches(['[', ']', '\n']);
    fs::write(&inventory, format!("[\n{module},\n{module}\n]\n")).unwrap();
    let none = write();
    assert!(stderr(&none).contains("0 estimates in "), "{}", stderr(&none));
    fs::write(&inventory, estimated).unwrap();
    let first = fs::read(&inventory).unwrap();
    write();
    assert_eq!(fs::read(&inventory).unwrap(), first);
    let valid = cctf(&["validate"]).arg(&run).output().unwrap();
    let text = String::from_utf8_lossy(&valid.stdout);
    assert!(!text.contains("module_inventory.json"), "{text}");
    let files = fs::read_dir(run.join("cctf")).unwrap().count();
    assert_eq!(files, 10, "no other file is left");
    fs::write(
        run.join("cctf/run_meta.json"),
        r#"{"run_id":"r","ended_ts":null}"#,
    )
    .unwrap();
    assert_eq!(write().status.code(), Some(2));
}

#[test]
fn a_merge_writes_the_estimates_of_the_merged_run() {
    let logs = tempfile::tempdir().unwrap();
    let run = varied_run(logs.path());
    let out = logs.path().join("out");
    let done = cctf(&["merge"]).arg(&out).arg(&run).output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let merged = out.join("cctf/module_inventory.json");
    assert_regressed(&merged);
    // A merge of the result gives the same result.
    let again = logs.path().join("again");
    let done = cctf(&["merge"]).arg(&again).arg(&out).output().unwrap();
    assert!(done.status.success(), "{}", stderr(&done));
    let read = |folder: &Path| fs::read_to_string(folder.join("cctf/module_inventory.json")).unwrap();
    assert_eq!(read(&again), read(&out));
}

#[test]
fn a_merge_says_which_samples_its_estimates_lack() {
    let logs = tempfile::tempdir().unwrap();
    let run = varied_run(logs.path());
    let path = run.join("cctf/system_stats.jsonl");
    let mut samples = fs::read_to_string(&path).unwrap();
    // A merge uses the samples of at most 32 processes.
    for instance in 0..32 {
        samples += &SAMPLE.replace("\"i\"", &format!("\"i{instance}\""));
        samples.push('\n');
    }
    samples += &(SAMPLE.replace("0.5", "\"x\"").replace("17000000", "17000001") + "\n");
    fs::write(&path, samples).unwrap();
    let merge = |name: &str, format: &str| {
        let done = cctf(&["merge", "--format", format])
            .arg(logs.path().join(name))
            .arg(&run)
            .output()
            .unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
        String::from_utf8(done.stdout).unwrap()
    };
    let text = merge("text", "text");
    for lacking in [
        "is ignored: only the first 32 processes count\n",
        "1 damaged line left out; cctf validate shows what is wrong\n",
    ] {
        assert!(text.contains(lacking), "{text}");
    }
    let summary: Value = serde_json::from_str(&merge("json", "json")).unwrap();
    assert_eq!(summary["cpu_damaged"], 1);
    assert_eq!(summary["cpu_notes"].as_array().map(Vec::len), Some(1));
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

/// Rests without rows need the invocations of the buckets for the estimates.
#[test]
fn a_merge_in_buckets_writes_the_same_estimates() {
    let logs = tempfile::tempdir().unwrap();
    let run = varied_run(logs.path());
    let at = |name: &str| logs.path().join(name);
    let merge = |out: &str, more: &[&str]| {
        let mut command = cctf(&["merge"]);
        command.arg(at(out)).arg(&run).args(more).current_dir(logs.path());
        let done = command.output().unwrap();
        assert!(done.status.success(), "{}", stderr(&done));
    };
    merge("one", &[]);
    merge("0", &["--bucket", "0/2"]);
    merge("1", &["--bucket", "1/2"]);
    merge("rests", &["--rests", "0", "1"]);
    merge("whole", &["--rests", "0", "1", "--rows"]);
    assert!(!at("rests/cctf/invocations.jsonl").exists());
    for made in ["rests", "whole"] {
        let inventory = at(made).join("cctf/module_inventory.json");
        assert_regressed(&inventory);
        let one = fs::read(at("one/cctf/module_inventory.json")).unwrap();
        assert_eq!(fs::read(inventory).unwrap(), one, "{made}");
    }
}
