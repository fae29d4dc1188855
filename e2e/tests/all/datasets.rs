//! `cctf export parquet`: DuckDB, polars, pandas and Spark run the examples of the data set's page. Their results must agree
//! with `cctf stats`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use e2e::binaries::{Done, bin_dir, cctf, tool};
use e2e::sources::root;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::chain;

/// The runs of the data set. A reader that infers types makes a number of the second name.
const RUNS: [&str; 2] = ["chain", "007"];
const MINUTES: u64 = 2;

/// A folder with two runs in `logs`, and a data set of both runs in `data`.
static FOLDER: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    for (number, run_id) in RUNS.iter().enumerate() {
        copy_run(&folder.path().join("logs").join(run_id), run_id);
        let run = format!("logs/{run_id}");
        let more = if number == 0 {
            ["--buckets", "4"].as_slice()
        } else {
            &["--append"]
        };
        let mut export = Command::new(bin_dir().unwrap().join("cctf"));
        export
            .args(["export", "parquet", &run, "--out", "data"])
            .args(more);
        let done = Done::from(export.current_dir(folder.path()).output().unwrap());
        assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    }
    folder
});

/// A copy of the chain's run with another id. Every third trace is a minute later, and each node has its own module.
fn copy_run(target: &Path, run_id: &str) {
    let cctf = target.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for entry in fs::read_dir(chain::run_folder().join("cctf")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        let text = fs::read_to_string(&path).unwrap();
        let copied = match name {
            "invocations.jsonl" | "calls.jsonl" => text.lines().map(varied).collect(),
            "run_meta.json" => text.replacen("\"run_id\":\"r\"", &format!("\"run_id\":\"{run_id}\""), 1),
            _ => text,
        };
        fs::write(cctf.join(name), copied).unwrap();
    }
}

fn varied(line: &str) -> String {
    let row: Value = serde_json::from_str(line).unwrap();
    let digits = &row["trace_id"].as_str().unwrap()[28..];
    let mut line = line.to_owned();
    if u32::from_str_radix(digits, 16).unwrap().is_multiple_of(3) {
        for time in ["ts_enqueue", "ts_start", "ts_end"] {
            let begin = format!("\"{time}\":");
            let Some((before, rest)) = line.split_once(&begin) else {
                continue;
            };
            let (whole, decimals) = rest.split_once('.').unwrap();
            let later = whole.parse::<u64>().unwrap() + 60_000;
            line = format!("{before}{begin}{later}.{decimals}");
        }
    }
    let module = format!("\"module_id\":\"on-{}\"", row["node"].as_str().unwrap());
    line.replacen("\"module_id\":\"tunable-svc\"", &module, 1) + "\n"
}

/// The rows that an example of the page computes.
fn example(reader: &str, more: &[&str]) -> Vec<Value> {
    let script = Command::new(tool("readers/bin/python").unwrap())
        .arg(root().join("e2e/readers/dataset_example.py"))
        .arg(root().join("docs/export/parquet.md"))
        .arg(reader)
        .args(more)
        .current_dir(FOLDER.path())
        .output();
    let done = Done::from(script.unwrap());
    assert_eq!(done.code, Some(0), "{reader}\n{}\n{}", done.stdout, done.stderr);
    done.json().unwrap().as_array().unwrap().clone()
}

/// The middle of the bucket of `cctf stats` that contains a value, nanoseconds. Each power of two has 64 buckets.
fn middle_of_bucket(value: u64) -> u64 {
    let octave = (u64::BITS - (value >> 6).leading_zeros()).saturating_sub(1);
    (value >> octave << octave) + ((1 << octave) - 1) / 2
}

/// Module, minute, invocations, 99th percentile and bytes according to `cctf stats`. It is called for each minute, because it
/// computes one window at a time.
fn stats(run_id: &str) -> BTreeMap<(String, u64), [u64; 3]> {
    let run = FOLDER.path().join("logs").join(run_id);
    let mut found = BTreeMap::new();
    for minute in 0..MINUTES {
        let [from, to] = [minute, minute + 1].map(|minute| format!("{}s", 60 * minute));
        let done = cctf(&[
            "stats",
            &run.to_string_lossy(),
            "--from",
            &from,
            "--to",
            &to,
            "--format",
            "json",
        ])
        .unwrap();
        assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
        for group in done.json().unwrap()["groups"].as_array().unwrap() {
            let count = |name: &str| group[name].as_u64().unwrap();
            let module = group["module_id"].as_str().unwrap().to_owned();
            let p99_ns = (group["response_p99_ms"].as_f64().unwrap() * 1e6).round() as u64;
            let bytes = count("bytes_in_sum") + count("bytes_out_sum");
            found.insert((module, minute), [count("calls"), p99_ns, bytes]);
        }
    }
    found
}

#[test]
fn four_readers_and_stats_have_one_answer_to_the_nanosecond() {
    let answer = example("duckdb", &[]);
    for reader in ["polars", "pandas", "spark"] {
        assert_eq!(example(reader, &[]), answer, "{reader}");
    }
    for run_id in RUNS {
        let rows: Vec<&Value> = answer.iter().filter(|row| row[0] == run_id).collect();
        let ours = stats(run_id);
        assert_eq!(
            (rows.len(), ours.len()),
            (6, 6),
            "three modules in two minutes: {answer:?}"
        );
        for row in rows {
            let number = |index: usize| row[index].as_u64().unwrap();
            let [calls, p99_ns, bytes] = ours[&(row[1].as_str().unwrap().to_owned(), number(2))];
            assert_eq!(
                [number(3), middle_of_bucket(number(4)), number(5)],
                [calls, p99_ns, bytes],
                "{row}"
            );
        }
    }
}

#[test]
fn one_query_runs_over_the_json_files_and_over_the_view() {
    let binary = bin_dir().unwrap().join("cctf");
    let binary = binary.to_string_lossy();
    let all = example("duckdb", &[]);
    for run_id in RUNS {
        let folder = format!("logs/{run_id}/cctf");
        let of_run: Vec<Value> = all
            .iter()
            .filter(|row| row[0] == json!(run_id))
            .cloned()
            .collect();
        assert_eq!(example("json", &[&binary, run_id, &folder]), of_run);
    }
}
