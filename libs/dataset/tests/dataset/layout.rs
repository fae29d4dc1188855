//! The files of a data set: partitions, order, row groups, page index, index.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZero;
use std::path::Path;

use dataset::export::{GroupSize, Options};
use parquet::basic::{Compression, Encoding};
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData, ParquetMetaDataReader};
use parquet::record::RowAccessor;
use serde_json::{Value, json};

use crate::fixture::{Logs, call, export_runs, files, invocation, meta, rows, small};

/// A trace id whose digits look random.
fn trace(number: u64) -> u128 {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    u128::from(mixed) << 64 | u128::from(mixed.rotate_left(17) ^ number)
}

fn metadata(file: &Path) -> ParquetMetaData {
    let mut reader = ParquetMetaDataReader::new().with_page_index_policy(PageIndexPolicy::Required);
    reader.try_parse(&fs::File::open(file).unwrap()).unwrap();
    reader.finish().unwrap()
}

#[test]
fn rows_of_a_trace_meet_in_one_bucket_in_the_order_of_time() {
    let logs = Logs::new();
    // Each trace has three rows in each file. They are far from each other, and the latest one comes first.
    let all = (0..900_u64).map(|row| (trace(row % 300), row, 1_000_000 - (row as i64) * 7));
    let calls: String = all
        .clone()
        .map(|(trace, span, at)| call(trace, span, at))
        .collect();
    let invocations: String = all.map(|(trace, span, at)| invocation(trace, span, at)).collect();
    let files_of_run = [("calls.jsonl", &*calls), ("invocations.jsonl", &*invocations)];
    let (run, out) = (logs.run("r", &files_of_run), logs.path("data"));
    let options = Options {
        buckets: NonZero::new(4),
        ..small()
    };
    export_runs(&out, &[&run], &options).unwrap();
    let mut buckets: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for (table, time) in [("calls", 8), ("invocations", 6)] {
        for file in files(&out.join(table)) {
            let relative = file.strip_prefix(out.join(table)).unwrap();
            let bucket = relative.to_str().unwrap();
            let places: Vec<(String, i64)> = rows(&file)
                .iter()
                .map(|row| (row.get_string(0).unwrap().clone(), row.get_long(time).unwrap()))
                .collect();
            assert!(places.is_sorted(), "{places:?}");
            let mut traces: Vec<String> = places.into_iter().map(|(trace, _)| trace).collect();
            assert!(traces.iter().all(|trace| {
                let bucket_of = u32::from_str_radix(&trace[28..], 16).unwrap() % 4;
                bucket == format!("run_id=r/bucket={bucket_of:03}/part-0.parquet")
            }));
            traces.dedup();
            buckets.entry(bucket.to_owned()).or_default().push(traces);
        }
    }
    assert_eq!(buckets.len(), 4);
    assert!(
        buckets
            .values()
            .all(|traces| traces.len() == 2 && traces[0] == traces[1])
    );
    assert_eq!(buckets.values().map(|traces| traces[0].len()).sum::<usize>(), 300);
}

#[test]
fn row_groups_are_bounded_sorted_compressed_and_indexed_by_page() {
    let logs = Logs::new();
    let calls: String = (0..9000).map(|row| call(trace(row), row, row as i64)).collect();
    let (run, out) = (logs.run("r", &[("calls.jsonl", &calls)]), logs.path("data"));
    let options = Options {
        group_size: GroupSize {
            rows: 3000,
            ..GroupSize::default()
        },
        ..small()
    };
    export_runs(&out, &[&run], &options).unwrap();
    let metadata = metadata(&out.join("calls/run_id=r/bucket=000/part-0.parquet"));
    let groups: Vec<i64> = metadata
        .row_groups()
        .iter()
        .map(|group| group.num_rows())
        .collect();
    assert_eq!(groups, [4096, 4096, 808]);
    for (number, group) in metadata.row_groups().iter().enumerate() {
        let sorting = group.sorting_columns().unwrap();
        let name = |column: i32| group.column(column as usize).column_path().string();
        let names: Vec<_> = sorting.iter().map(|by| name(by.column_idx)).collect();
        assert_eq!(names, ["trace_id", "ts_start_ns"]);
        assert!(sorting.iter().all(|by| !by.descending));
        let index = metadata.page_index_for_row_group(number);
        for column in 0..group.num_columns() {
            let is_indexed = index.column_index(column).is_some() && index.offset_index(column).is_some();
            assert!(is_indexed, "{}", name(column as i32));
        }
        for column in group.columns() {
            let name = column.column_path().string();
            assert!(matches!(column.compression(), Compression::ZSTD(_)), "{name}");
            assert!(column.statistics().is_some(), "{name}");
            let has_dictionary = column
                .encodings()
                .any(|encoding| encoding == Encoding::RLE_DICTIONARY);
            match &*name {
                "module_id" | "instance_id" | "session_id" | "node" | "path" | "stage" | "method" => {
                    assert!(has_dictionary, "{name}");
                }
                _ if name.ends_with("_id") || name.ends_with("_ns") => assert!(!has_dictionary, "{name}"),
                _ => {}
            }
        }
    }
}

#[test]
fn long_rows_complete_a_row_group_by_their_bytes() {
    let logs = Logs::new();
    // The digits look random, because other digits would be compressed to almost nothing.
    let long = |row: u64| -> String {
        let digits = (0..60).map(|piece| format!("{:032x}", trace(1000 * row + piece)));
        digits.collect()
    };
    let calls: String = (0..3000)
        .map(|row| call(trace(row), row, 0).replace("\"/", &format!("\"/{}", long(row))))
        .collect();
    let (run, out) = (logs.run("r", &[("calls.jsonl", &calls)]), logs.path("data"));
    export_runs(&out, &[&run], &small()).unwrap();
    let metadata = metadata(&out.join("calls/run_id=r/bucket=000/part-0.parquet"));
    assert!(metadata.num_row_groups() > 1, "{}", metadata.num_row_groups());
}

#[test]
fn the_index_lists_types_runs_counts_and_ranges() {
    let logs = Logs::new();
    let calls = [(1, 30), (2, 10), (3, 20)]
        .map(|(span, at)| call(7, span, at))
        .concat()
        + "{\"cut";
    let (run, out) = (logs.run("r", &[("calls.jsonl", &calls)]), logs.path("data"));
    let summary = export_runs(&out, &[&run], &small()).unwrap();
    let index: Value = serde_json::from_slice(&fs::read(out.join("index.json")).unwrap()).unwrap();
    let run = &index["runs"][0];
    assert_eq!(*run, serde_json::to_value(&summary.runs[0]).unwrap());
    assert_eq!(
        (&run["started_ns"], &run["ended_ns"]),
        (&json!(1_000_001), &json!(9_000_000))
    );
    assert_eq!((&run["cut_lines"], &run["damaged_lines"]), (&json!(1), &json!(0)));
    let calls = &run["tables"]["calls"];
    assert_eq!((&calls["first_ns"], &calls["last_ns"]), (&json!(10), &json!(30)));
    let file = out.join("calls/run_id=r/bucket=000/part-0.parquet");
    assert_eq!(
        (&calls["rows"], &calls["bytes"]),
        (&json!(3), &json!(fs::metadata(file).unwrap().len()))
    );
    // A table without rows has a file, so that readers find its columns.
    let nodes = &run["tables"]["nodes"];
    assert_eq!((&nodes["rows"], &nodes["files"]), (&json!(0), &json!(1)));
    let table = |name: &str| {
        let tables = index["tables"].as_array().unwrap();
        tables.iter().find(|table| table["name"] == name).unwrap()
    };
    let invocations = table("invocations");
    assert_eq!(invocations["partitions"], json!(["run_id", "bucket"]));
    assert_eq!(invocations["sorted_by"], json!(["trace_id", "ts_enqueue_ns"]));
    let columns = invocations["columns"].as_array().unwrap();
    for wanted in [
        json!({"name": "ts_enqueue_ns", "type": "int64", "nullable": false, "field": "ts_enqueue"}),
        json!({"name": "links", "type": "list<struct<trace_id: string, span_id: string>>", "nullable": true}),
    ] {
        assert!(columns.contains(&wanted), "{wanted}");
    }
    let of_meta = table("run_meta")["columns"].as_array().unwrap();
    assert!(of_meta.iter().all(|column| column["name"] != "run_id"));
}

#[test]
fn the_parts_of_a_long_run_are_one_run_and_damaged_lines_are_named() {
    let logs = Logs::new();
    let first = logs.run(
        "r",
        &[("calls.jsonl", &call(1, 1, 5)), ("nodes.json", "[{\"no\":1}]")],
    );
    let later = meta("r").replace("\"time_base\"", "\"part\":2,\"time_base\"");
    let lines = call(1, 2, 3) + "no\n" + &call(1, 3, 4).replace("\"status\":200", "\"status\":\"ok\"");
    let node = "[{\"node_id\":\"n\",\"stage\":\"edge\",\"cpu_cores\":2,\"mem_mb\":null}]";
    let files = [
        ("calls.jsonl", &*lines),
        ("run_meta.json", &later),
        ("nodes.json", node),
    ];
    let second = logs.run("r-0002", &files);
    let twice = export_runs(&logs.path("data"), &[&first, &second], &small()).unwrap_err();
    assert!(
        twice.to_string().contains("only one part of a long run"),
        "{twice}"
    );
    let summary = export_runs(&logs.path("data"), &[&second], &small()).unwrap();
    let run = &summary.runs[0];
    assert_eq!((run.parts, run.damaged_lines), (2, 2));
    let rows = ["calls", "nodes", "run_meta"].map(|table| run.tables[table].rows);
    assert_eq!(rows, [2, 1, 2]);
    let damages = summary.damages.shown.iter();
    let named: Vec<String> = damages
        .map(|damage| {
            let file = damage.path.file_name().unwrap().display();
            format!("{file}:{}: {}", damage.line, damage.reason)
        })
        .collect();
    let expected = [
        "calls.jsonl:2: not one JSON object in UTF-8",
        "calls.jsonl:3: status has a value of another type",
    ];
    assert_eq!(named, expected);
}
