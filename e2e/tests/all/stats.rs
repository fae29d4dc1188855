//! `cctf stats` compared with DuckDB. DuckDB computes each figure from the same files, with the SQL that the command prints.

use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, bin_dir, tool};
use e2e::sources::root;

use crate::chain;

/// Compares every figure of `cctf stats` with DuckDB's answer to the SQL that it prints.
pub fn compare_stats(run: &Path, flags: &[&str]) {
    let python = tool("readers/bin/python").unwrap();
    let output = Command::new(python)
        .arg(root().join("e2e/readers/compare_stats.py"))
        .arg(bin_dir().unwrap().join("cctf"))
        .arg(run)
        .args(flags)
        .output()
        .unwrap();
    let done = Done::from(output);
    assert_eq!(done.code, Some(0), "{}\n{}", done.stdout, done.stderr);
    let agreed: u32 = done.stdout.trim().parse().unwrap();
    assert!(agreed > 200, "{agreed} figures were compared");
}

/// Lines of one of two parts. They are changed to contain what a good run lacks: failures, zeros, unknown values, and a second
/// application.
fn varied(file: &str, lines: &[&str]) -> String {
    let change = |(number, line): (usize, &&str)| {
        let mut line = (*line).to_owned();
        if file == "invocations.jsonl" {
            let mut replace = |every: usize, from: &str, to: &str| {
                if number.is_multiple_of(every) {
                    line = line.replace(from, to);
                }
            };
            replace(7, "\"status\":200", "\"status\":503");
            replace(
                11,
                "\"protocol\":\"http\"",
                "\"app_id\":\"sh\u{f6}p\",\"protocol\":\"http\",\"error_type\":\"a\\\"b\"",
            );
            replace(13, "\"bytes_in\":8192", "\"bytes_in\":null");
            replace(3, "\"downstream_ms\":0.000000", "\"downstream_ms\":null");
            replace(
                17,
                "\"queue_time_ms\":0.",
                "\"queue_time_ms\":0.000000,\"mine\":0.",
            );
        }
        line + "\n"
    };
    lines.iter().enumerate().map(change).collect()
}

#[test]
fn figures_of_parts_failures_and_released_slots_agree_with_duckdb() {
    let logs = tempfile::tempdir().unwrap();
    let from = chain::run_folder().join("cctf");
    let parts = ["p", "p-0002"].map(|part| logs.path().join(part).join("cctf"));
    for (number, part) in parts.iter().enumerate() {
        fs::create_dir_all(part).unwrap();
        for file in [
            "invocations.jsonl",
            "calls.jsonl",
            "system_stats.jsonl",
            "placement_events.jsonl",
        ] {
            let text = fs::read_to_string(from.join(file)).unwrap();
            let lines: Vec<&str> = text.lines().collect();
            let (first, second) = lines.split_at(lines.len() / 2);
            fs::write(part.join(file), varied(file, [first, second][number])).unwrap();
        }
        let meta = format!(
            "{{\"run_id\":\"p\",\"part\":{},\"ended_ts\":1.000000}}",
            number + 1
        );
        fs::write(part.join("run_meta.json"), meta).unwrap();
    }
    let inventory = fs::read_to_string(from.join("module_inventory.json")).unwrap();
    let released = inventory.replace("\"slot_policy\":\"held\"", "\"slot_policy\":\"released\"");
    assert_ne!(released, inventory);
    fs::write(parts[1].join("module_inventory.json"), released).unwrap();
    for window in [&[][..], &["--warmup", "500ms", "--to", "1s500ms"]] {
        compare_stats(&logs.path().join("p"), window);
    }
}
