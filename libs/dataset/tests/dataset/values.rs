//! The normalizer's golden cases: each value of each row is in the table of its file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{Field as CctfField, File, Kind, Milliseconds, Shape};
use dataset::layout::{Table, column_name};
use parquet::record::{Field, Row};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::fixture::{Logs, export_runs, files, meta, rows, small};

/// A value of Parquet as JSON.
fn as_json(field: &Field) -> Value {
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => json!(value),
        Field::Long(value) => json!(value),
        Field::Double(value) => json!(value),
        Field::Str(value) => json!(value),
        Field::Group(row) => row_as_json(row),
        Field::ListInternal(list) => list.elements().iter().map(as_json).collect(),
        Field::MapInternal(map) => {
            let entries = map.entries().iter();
            entries
                .map(|(name, count)| (as_json(name).as_str().unwrap().to_owned(), as_json(count)))
                .collect::<serde_json::Map<_, _>>()
                .into()
        }
        other => panic!("{other:?}"),
    }
}

fn row_as_json(row: &Row) -> Value {
    let columns = row.get_column_iter();
    columns
        .map(|(name, field)| (name.clone(), as_json(field)))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

/// The row (or an object in it) as the table has it: each field has a value or is null, and times are integers.
fn expected(fields: &[CctfField], raw: &str) -> Value {
    let values: BTreeMap<String, &RawValue> = serde_json::from_str(raw).unwrap();
    let one = |field: &CctfField| {
        let value = values.get(field.name).map_or("null", |raw| raw.get());
        (column_name(field), expected_value(field.kind, value))
    };
    fields.iter().map(one).collect::<serde_json::Map<_, _>>().into()
}

fn expected_value(kind: Kind, raw: &str) -> Value {
    match kind {
        _ if raw == "null" => Value::Null,
        Kind::Milliseconds => json!(Milliseconds::parse(raw).unwrap().as_ns()),
        Kind::Float => json!(raw.parse::<f64>().unwrap()),
        Kind::Attributes => json!(raw),
        Kind::Object(fields) => expected(fields, raw),
        Kind::List(of) => {
            let items: Vec<&RawValue> = serde_json::from_str(raw).unwrap();
            items.iter().map(|item| expected_value(*of, item.get())).collect()
        }
        _ => serde_json::from_str(raw).unwrap(),
    }
}

/// The folders of the golden cases with files of a run.
fn cases() -> Vec<PathBuf> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../normalizer/tests/golden");
    let mut found = Vec::new();
    for case in fs::read_dir(golden).unwrap() {
        let Ok(runs) = fs::read_dir(case.unwrap().path().join("expected")) else {
            continue;
        };
        found.extend(runs.map(|run| run.unwrap().path()).filter(|run| run.is_dir()));
    }
    found.sort();
    found
}

/// The lines of one file of all cases, or the entries of its arrays.
fn lines(cases: &[PathBuf], file: File) -> Vec<String> {
    let mut found = Vec::new();
    for case in cases {
        let Ok(text) = fs::read_to_string(case.join(file.name())) else {
            continue;
        };
        match file.shape() {
            Shape::Lines => found.extend(text.lines().map(str::to_owned)),
            Shape::Array => {
                let entries: Vec<&RawValue> = serde_json::from_str(&text).unwrap();
                found.extend(entries.iter().map(|entry| entry.get().to_owned()));
            }
            Shape::Object => {}
        }
    }
    if file.shape() == Shape::Object {
        found.push(meta("r"));
    }
    found
}

#[test]
fn each_value_of_each_row_is_in_its_table() {
    let (logs, cases) = (Logs::new(), cases());
    let lines: BTreeMap<File, Vec<String>> = File::ALL
        .iter()
        .map(|&file| (file, lines(&cases, file)))
        .collect();
    let texts: Vec<(&str, String)> = lines
        .iter()
        .map(|(file, lines)| match file.shape() {
            Shape::Lines => (
                file.name(),
                lines.iter().map(|line| line.clone() + "\n").collect(),
            ),
            Shape::Array => (file.name(), format!("[{}]", lines.join(","))),
            Shape::Object => (file.name(), lines.concat()),
        })
        .collect();
    let texts: Vec<(&str, &str)> = texts.iter().map(|(name, text)| (*name, &**text)).collect();
    let (run, out) = (logs.run("r", &texts), logs.path("data"));
    let summary = export_runs(&out, &[&run], &small()).unwrap();
    assert_eq!(summary.damages.shown, []);
    let mut seen = 0;
    for (file, lines) in lines {
        let table = Table::new(file);
        let stored: Vec<CctfField> = table.columns.iter().map(|column| *column.field).collect();
        let mut expected: Vec<Value> = lines.iter().map(|line| expected(&stored, line)).collect();
        let tables = files(&out.join(table.name()));
        let mut found: Vec<Value> = tables
            .iter()
            .flat_map(|file| rows(file))
            .map(|row| row_as_json(&row))
            .collect();
        if table.time.is_some() {
            // The order of rows is not compared here; another test checks it.
            for rows in [&mut expected, &mut found] {
                rows.sort_by_cached_key(Value::to_string);
            }
        }
        assert_eq!(found, expected, "{}", table.name());
        assert!(!found.is_empty(), "{}", table.name());
        assert_eq!(summary.runs[0].tables[table.name()].rows, found.len() as u64);
        seen += found.len();
    }
    assert!(seen > 500, "the golden cases have lost their rows: {seen}");
}
