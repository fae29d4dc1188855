//! `cctf stats`: its formats, windows and parts, and input that is damaged, missing or still being written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::Value;
use tempfile::TempDir;

use crate::{cctf, stderr};

const INVENTORY: &str = r#"[{"app_id":null,"module_id":"front","name":"front","type":"MODULE","resources":null,"instances":[{"instance_id":"i","node_id":"n","workers":2}]}]"#;

/// A row that starts after this time and takes 4 ms. It waits in the queue for 1 ms of these.
pub fn row(second: u64, module: &str, status: u16) -> String {
    let begin = 1_700_000_000_000 + second * 1000;
    format!(
        r#"{{"trace_id":"{second:032x}","span_id":"{second:016x}","parent_id":null,"parent_span_id":null,"module_id":"{module}","instance_id":"i","ts_enqueue":{begin}.000000,"ts_start":{}.000000,"ts_end":{}.500000,"node":"n","stage":"edge","method":"GET","path":"/a,\"b\"","bytes_in":10,"bytes_out":null,"cpu_time_ms":0.000000,"queue_time_ms":1.000000,"service_time_ms":3.500000,"rt_ms":4.500000,"status":{status},"downstream_ms":null,"kind":"server"}}"#,
        begin + 1,
        begin + 4,
    ) + "\n"
}

pub struct Logs(TempDir);

impl Logs {
    /// A run `r` with these lines of invocations.
    pub fn with(invocations: &str) -> Self {
        let logs = Self(tempfile::tempdir().unwrap());
        logs.write("r", "invocations.jsonl", invocations);
        logs.write("r", "module_inventory.json", INVENTORY);
        logs.write("r", "calls.jsonl", "");
        logs.write("r", "run_meta.json", r#"{"run_id":"r","ended_ts":1.000000}"#);
        logs
    }

    pub fn write(&self, run: &str, file: &str, text: &str) {
        let cctf = self.0.path().join(run).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        fs::write(cctf.join(file), text).unwrap();
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    fn file(&self, file: &str) -> PathBuf {
        self.path().join("r/cctf").join(file)
    }

    pub fn stats(&self, flags: &[&str]) -> Output {
        let logs = self.path().to_string_lossy();
        cctf(&["stats", "r", "--logs-dir", &logs])
            .args(flags)
            .output()
            .unwrap()
    }

    /// The result as JSON. The command must succeed.
    pub fn json(&self, flags: &[&str]) -> Value {
        let done = self.stats(&[&["--format", "json"], flags].concat());
        assert!(done.status.success(), "{}", stderr(&done));
        serde_json::from_slice(&done.stdout).unwrap()
    }
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn ten_seconds() -> String {
    (0..=10)
        .map(|second| row(second, "front", if second == 3 { 500 } else { 200 }))
        .collect()
}

#[test]
fn figures_are_printed_as_table_json_and_csv() {
    let logs = Logs::with(&ten_seconds());
    let table = stdout(&logs.stats(&[]));
    let lines: Vec<&str> = table.lines().map(str::trim_end).collect();
    assert_eq!(lines[0], "run r: 11 invocations in 10.0 s");
    let cells: Vec<&str> = lines[3].split_whitespace().collect();
    assert_eq!(
        cells,
        [
            "front", "11", "1", "9.09%", "too", "few", "1.10", "too", "few", "0.00", "too", "few", "10",
            "too", "few", "-", "-"
        ],
        "{table}"
    );
    let cells: Vec<&str> = lines[6].split_whitespace().collect();
    let expected = [
        "front", "0.005", "too", "few", "-", "2.0", "0.2%", "too", "few", "0.0%", "too", "few",
    ];
    assert_eq!(cells, expected, "{table}");
    let queue: Vec<&str> = lines[9].split_whitespace().collect();
    assert_eq!(
        queue[..7],
        ["front", "queue", "11", "-", "1.000", "too", "few"],
        "{table}"
    );
    let group = &logs.json(&["--by", "endpoint"])["groups"][0];
    for (name, value) in [
        ("module_id", Value::from("front")),
        ("route", "/a,\"b\"".into()),
        ("calls", 11.into()),
        ("errors", 1.into()),
        ("service_sum_ns", 38_500_000.into()),
        ("cpu_zeros", 11.into()),
        ("cpu_p99_ms", 0.0.into()),
        ("bytes_out_mean", Value::Null),
    ] {
        assert_eq!(group[name], value, "{name}");
    }
    let interval = &group["intervals"]["response"]["mean"]["none"];
    assert_eq!(interval, "11 values are too few; 16 are needed");
    assert_eq!(&group["intervals"]["rate_per_s"]["none"], interval);
    let csv = stdout(&logs.stats(&["--by", "endpoint", "--format", "csv"]));
    assert!(csv.starts_with("by,other,app_id,module_id,"), "{csv}");
    assert!(
        csv.contains("\nendpoint,false,,front,GET,\"/a,\"\"b\"\"\",,,11,1,0.0909"),
        "{csv}"
    );
}

#[test]
fn a_window_is_an_offset_from_the_first_start() {
    let logs = Logs::with(&ten_seconds());
    for (flags, calls) in [
        (&["--from", "2s"][..], 9),
        (&["--warmup", "2s"], 9),
        (&["--to", "2s"], 2),
        (&["--from", "1s", "--to", "2s1ms"], 2),
        (&["--from", "1500ms", "--to", "1600ms"], 0),
    ] {
        let groups = &logs.json(flags)["groups"];
        let found = groups[0]["calls"].as_u64().unwrap_or(0);
        assert_eq!(found, calls, "{flags:?}");
    }
    let none = stdout(&logs.stats(&["--from", "1500ms", "--to", "1600ms"]));
    assert!(none.contains("no invocation starts in this time"), "{none}");
    for (flag, offset, shown) in [
        ("--from", "11s", "11"),
        ("--warmup", "1m", "60"),
        ("--from", "9999999999h", "35999999996400"),
    ] {
        let done = logs.stats(&[flag, offset]);
        assert_eq!((done.status.code(), stdout(&done).as_str()), (Some(2), ""));
        let wanted = format!("{flag} is {shown} s, but the run ends after 10.0 s: choose a smaller {flag}");
        assert!(stderr(&done).contains(&wanted), "{}", stderr(&done));
    }
    for wrong in [
        &["--from", "2s", "--to", "1s"][..],
        &["--from", "1s", "--warmup", "1s"],
        &["--by", "x"],
    ] {
        let done = logs.stats(wrong);
        assert_eq!(done.status.code(), Some(2), "{wrong:?}: {}", stderr(&done));
    }
}

#[test]
fn damaged_lines_are_named_and_left_out() {
    let good = ten_seconds();
    let logs = Logs::with(&format!(
        "{good}{{\"trace_id\":1}}\n{}not json\n{{\"torn",
        row(11, "front", 200)
    ));
    let done = logs.stats(&[]);
    let errors = stderr(&done);
    assert_eq!(done.status.code(), Some(1), "{errors}");
    let path = logs.file("invocations.jsonl").canonicalize().unwrap();
    for (line, why) in [
        (12, "trace_id is missing or invalid"),
        (14, "not one JSON object"),
        (15, "incomplete"),
    ] {
        let named = errors
            .lines()
            .any(|error| error.contains(&format!("{}:{line}: ", path.display())) && error.contains(why));
        assert!(named, "{line}: {errors}");
    }
    assert!(errors.contains("3 damaged lines"), "{errors}");
    assert!(stdout(&done).contains("12 invocations"), "{}", stdout(&done));
}

#[test]
fn a_run_in_progress_counts_its_whole_lines() {
    let logs = Logs::with(&format!("{}{{\"torn", ten_seconds()));
    logs.write("r", "run_meta.json", r#"{"run_id":"r","ended_ts":null}"#);
    let done = logs.stats(&[]);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(
        stdout(&done).starts_with("run r: 11 invocations in 10.0 s, not ended\n"),
        "{}",
        stdout(&done)
    );
    logs.write("r", "invocations.jsonl", "");
    let empty = logs.stats(&[]);
    assert!(
        empty.status.success() && stdout(&empty).contains("nothing to compute yet"),
        "{}",
        stdout(&empty)
    );
}

#[test]
fn all_parts_of_a_long_run_count() {
    let logs = Logs::with(&ten_seconds());
    logs.write("r-0002", "invocations.jsonl", &row(20, "back", 200));
    logs.write(
        "r-0002",
        "run_meta.json",
        r#"{"run_id":"r","part":2,"ended_ts":2.000000}"#,
    );
    let found = logs.json(&[]);
    assert_eq!(
        (&found["invocations"], &found["parts"]),
        (&12.into(), &serde_json::json!(["r", "r-0002"]))
    );
    assert_eq!(found["groups"][1]["module_id"], "back");
}

#[test]
fn a_folder_without_rows_is_refused_with_one_sentence() {
    let logs = Logs::with("");
    fs::remove_file(logs.file("invocations.jsonl")).unwrap();
    let empty = tempfile::tempdir().unwrap();
    let cases = [
        (logs.path().join("r"), 1, "no invocations.jsonl"),
        (empty.path().to_owned(), 2, "not a run folder"),
        ("/nowhere/at/all".into(), 2, "does not exist"),
    ];
    for (path, code, why) in cases {
        let done = cctf(&["stats"]).arg(path).output().unwrap();
        let errors = stderr(&done);
        assert_eq!(done.status.code(), Some(code), "{errors}");
        assert!(
            errors.contains(why) && errors.lines().count() == 1,
            "{why}: {errors}"
        );
        assert!(done.stdout.is_empty());
    }
}

#[test]
fn files_that_are_missing_are_named_and_text_is_harmless() {
    let logs = Logs::with(&row(1, "\\u001b[31mred", 200));
    fs::remove_file(logs.file("calls.jsonl")).unwrap();
    fs::remove_file(logs.file("module_inventory.json")).unwrap();
    let done = logs.stats(&["--by", "module,link"]);
    let printed = stdout(&done);
    assert!(done.status.success(), "{}", stderr(&done));
    assert!(printed.contains("r has no calls.jsonl"), "{printed}");
    assert!(
        printed.contains("no valid module_inventory.json, so utilisation is unknown"),
        "{printed}"
    );
    assert!(
        !printed.contains('\u{1b}') && printed.contains("[31mred"),
        "{printed}"
    );
    let csv = stdout(&logs.stats(&["--format", "csv"]));
    assert!(!csv.contains('\u{1b}') && csv.contains("\\u{1b}[31mred"), "{csv}");
}

#[test]
fn an_interval_stands_beside_rates_and_shares_of_a_long_run() {
    let mixed = |second: u64| second.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 61;
    let rows = (0..2000_u64).map(|second| {
        let status = if mixed(second) == 0 { 500 } else { 200 };
        let bytes = format!("\"bytes_in\":{}", 10 + mixed(second));
        row(second, "front", status).replace("\"bytes_in\":10", &bytes)
    });
    let logs = Logs::with(&rows.collect::<String>());
    let group = &logs.json(&[])["groups"][0];
    let table = stdout(&logs.stats(&[]));
    let csv = stdout(&logs.stats(&["--format", "csv"]));
    for (name, shown) in [
        ("error_share", "11."),
        ("rate_per_s", "1.00.."),
        ("bytes_in_mean", "13.."),
    ] {
        let figure = group[name].as_f64().unwrap();
        let interval = &group["intervals"][name];
        let end = |name: &str| interval[name].as_f64().unwrap();
        assert!(
            end("low") <= figure && figure <= end("high"),
            "{name}: {figure} {interval}"
        );
        assert!(end("effective_sample_size") > 500.0, "{name}: {interval}");
        assert!(table.contains(shown), "{name}: {table}");
        let field = |end: &str| csv_field(&csv, &format!("{name}_{end}")).parse::<f64>().unwrap();
        assert_eq!((field("low"), field("high")), (end("low"), end("high")), "{name}");
    }
    assert!(table.contains("all equal"), "{table}");
    assert_eq!(
        group["intervals"]["interarrival_cv"]["none"],
        "all values are equal"
    );
    assert_eq!(csv_field(&csv, "interarrival_cv_low"), "");
}

#[test]
fn an_interval_stands_beside_each_time_of_a_long_run() {
    // Service times are 3.5 ms or 10 ms, independently of each other.
    let rows = (0..2000_u64).map(|second| {
        let row = row(second, "front", 200);
        let is_long = second.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 62 == 0;
        if is_long {
            row.replace("3.500000", "10.000000")
        } else {
            row
        }
    });
    let logs = Logs::with(&rows.collect::<String>());
    let group = &logs.json(&[])["groups"][0];
    let mean = group["service_mean_ms"].as_f64().unwrap();
    let interval = &group["intervals"]["service"]["mean"];
    let end = |name: &str| interval[name].as_f64().unwrap();
    assert!(end("low_ms") < mean && mean < end("high_ms"), "{mean} {interval}");
    assert!(
        end("high_ms") - end("low_ms") < 1.0 && end("effective_sample_size") > 500.0,
        "{interval}"
    );
    let table = stdout(&logs.stats(&[]));
    assert!(table.contains(&format!("{:.3}..", end("low_ms"))), "{table}");
    let csv = stdout(&logs.stats(&["--format", "csv"]));
    let field = |name: &str| csv_field(&csv, name).parse::<f64>().unwrap();
    assert_eq!(field("service_mean_low_ms"), end("low_ms"));
    assert_eq!(field("service_mean_high_ms"), end("high_ms"));
    assert_eq!(field("service_effective"), end("effective_sample_size"));
    assert_eq!(csv_field(&csv, "network_p50_low_ms"), "");
    let by_link = stdout(&logs.stats(&["--by", "link", "--format", "csv"]));
    assert_eq!(by_link.lines().count(), 1, "{by_link}");
}

/// A field of the first group. Its key must not contain a comma.
fn csv_field<'a>(csv: &'a str, name: &str) -> &'a str {
    let mut lines = csv.lines();
    let titles: Vec<&str> = lines.next().unwrap().split(',').collect();
    let fields: Vec<&str> = lines.next().unwrap().split(',').collect();
    assert_eq!(titles.len(), fields.len(), "{csv}");
    fields[titles.iter().position(|title| *title == name).unwrap()]
}
