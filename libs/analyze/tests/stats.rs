//! `stats` for files of several chunks. The number of threads does not change the result, and limits cause only names to be
//! lost.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use analyze::stats::group::{By, Group};
use analyze::stats::table::{Figure, Precision, figures};
use analyze::stats::window::Window;
use analyze::stats::{Options, Stats, stats};
use rundir::parts::Target;

/// Number of rows of each part. Two parts of 8 MB are several chunks.
const ROWS: u64 = 20_000;
const PERIOD_NS: u64 = 100_000;

/// Numbers that look random, but are the same in each run.
fn mixed(number: u64) -> u64 {
    let mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed ^ mixed >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 20
}

fn ms(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

fn invocation(number: u64) -> String {
    let (start, random) = (1_700_000_000_000_000_000 + number * PERIOD_NS, mixed(number));
    let (queue, service) = (random % 7 * 1000, 1 + random % 1_000_000);
    format!(
        r#"{{"trace_id":"{number:032x}","span_id":"{number:016x}","parent_id":null,"parent_span_id":null,"module_id":"m{}","instance_id":"i","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"n{}","stage":"edge","method":"GET","path":"/item/{}","bytes_in":{},"bytes_out":null,"cpu_time_ms":null,"queue_time_ms":{},"service_time_ms":{},"rt_ms":{},"status":{},"downstream_ms":null,"kind":"server","caller_span_id":"{:016x}","net_ms":{}}}"#,
        random % 5,
        ms(start),
        ms(start + queue),
        ms(start + queue + service),
        random % 3,
        random % 3000,
        random % 100,
        ms(queue),
        ms(service),
        ms(queue + service),
        if random.is_multiple_of(50) { 503 } else { 200 },
        number + (1 << 40),
        ms(random % 9000),
    )
}

fn call(number: u64) -> String {
    let start = ms(1_700_000_000_000_000_000 + number * PERIOD_NS);
    format!(
        r#"{{"trace_id":"{number:032x}","span_id":"{:016x}","parent_span_id":null,"ancestor_id":null,"module_id":"d","instance_id":"d","node":"c{}","stage":"edge","ts_start":{start},"ts_end":{start},"method":null,"path":null,"bytes_out":null,"bytes_in":null,"status":null,"padding":"{}"}}"#,
        number + (1 << 40),
        mixed(number) % 2,
        "x".repeat(100),
    )
}

/// A run in two parts. Rows are out of order within blocks, and a few lines are damaged.
fn write_run(logs: &Path) {
    for part in 0..2_u64 {
        let name = if part == 0 { "r" } else { "r-0002" };
        let cctf = logs.join(name).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        let (mut invocations, mut calls) = (String::new(), String::new());
        for row in 0..ROWS {
            let number = part * ROWS + (row ^ 0x3f).min(ROWS - 1);
            if row == 7777 {
                invocations += "{\"damaged\":\n";
            }
            let _ = writeln!(invocations, "{}", invocation(number));
            let _ = writeln!(calls, "{}", call(part * ROWS + row));
        }
        fs::write(cctf.join("invocations.jsonl"), invocations).unwrap();
        fs::write(cctf.join("calls.jsonl"), calls).unwrap();
        let meta = if part == 0 {
            r#"{"run_id":"r","ended_ts":1.000000}"#
        } else {
            r#"{"run_id":"r","part":2,"ended_ts":1.000000}"#
        };
        fs::write(cctf.join("run_meta.json"), meta).unwrap();
    }
}

fn compute(logs: &Path, threads: usize, window: Window) -> Stats {
    let (run, part) = Target::Folder(logs.join("r")).find().unwrap().unwrap();
    let options = Options {
        by: By::ALL.to_vec(),
        window,
        lint: false,
        threads,
    };
    stats(&run, &part, &options, &mut |_| {}).unwrap()
}

fn calls(groups: &[&Group]) -> u64 {
    groups.iter().map(|group| group.sums.calls).sum()
}

#[test]
fn threads_change_nothing_and_every_row_counts_once() {
    let logs = tempfile::tempdir().unwrap();
    write_run(logs.path());
    let one = compute(logs.path(), 1, Window::default());
    for threads in [2, 3, 16] {
        let more = compute(logs.path(), threads, Window::default());
        assert_eq!(format!("{more:?}"), format!("{one:?}"), "{threads} threads");
    }
    assert_eq!((one.rows, one.damages.count), (2 * ROWS, 2));
    let lines: Vec<u64> = one.damages.shown.iter().map(|damage| damage.line).collect();
    assert_eq!(lines, [7778, 7778]);
    for by in By::ALL {
        let groups: Vec<&Group> = one.groups.iter().filter(|group| group.by == by).collect();
        assert_eq!(calls(&groups), 2 * ROWS, "{by:?}");
        let expected = match by {
            By::Module => 5,
            By::Node => 3,
            By::Link => 6,
            // There are more endpoints on nodes than the maximum, so some share a group.
            By::Endpoint => groups.len(),
        };
        assert_eq!(groups.len(), expected, "{by:?}");
        let others = groups.iter().filter(|group| group.key.is_other).count();
        assert_eq!(others, if by == By::Endpoint { 5 } else { 0 }, "{by:?}");
    }
    assert!(
        one.notes.iter().any(|note| note.contains("(other)")),
        "{:?}",
        one.notes
    );
    assert!(
        !one.notes.iter().any(|note| note.contains("no link")),
        "{:?}",
        one.notes
    );
}

#[test]
fn a_window_counts_the_rows_that_start_in_it() {
    let logs = tempfile::tempdir().unwrap();
    write_run(logs.path());
    let first = (0..100)
        .map(|number| 100_000 * number + mixed(number) % 7 * 1000)
        .min()
        .unwrap();
    let from = std::time::Duration::from_millis(500);
    let to = std::time::Duration::from_millis(2500);
    let found = compute(logs.path(), 2, Window { from, to: Some(to) });
    let starts = (0..2 * ROWS).map(|number| PERIOD_NS * number + mixed(number) % 7 * 1000 - first);
    let expected = starts
        .filter(|start| (500_000_000..2_500_000_000).contains(start))
        .count() as u64;
    let modules: Vec<&Group> = found
        .groups
        .iter()
        .filter(|group| group.by == By::Module)
        .collect();
    assert_eq!((calls(&modules), found.time_ns), (expected, 2_000_000_000));
}

#[test]
fn the_documentation_has_each_figure_with_its_sql() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/stats.md");
    let documented = fs::read_to_string(path).unwrap();
    let row = |figure: &Figure| {
        let by = if figure.on == By::ALL {
            ""
        } else if figure.on.len() == 2 {
            "module, node"
        } else {
            "not link"
        };
        let agrees = match figure.precision {
            Precision::Exact => "exactly",
            Precision::Rounded => "but for rounding",
            Precision::Sketch => "within 1/128",
        };
        format!(
            "| `{}` | {} | {} | `{}` | {agrees} | {by} |\n",
            figure.name, figure.unit, figure.meaning, figure.sql
        )
    };
    let rows: String = figures().iter().map(row).collect();
    assert!(
        documented.contains(&rows),
        "docs/stats.md needs these rows:\n{rows}"
    );
}
