//! Reads the files of a run without this project's code: each line is a JSON object.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

/// The rows of a trace by node.
pub type Nodes<'a> = HashMap<&'a str, &'a Value>;

/// All rows of a `.jsonl` file.
pub fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.is_empty() || text.ends_with('\n'),
        "{} ends in an incomplete line",
        path.display()
    );
    let parsed = text.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}: {line}", path.display(), number + 1))
    });
    parsed.collect()
}

/// The content of a `.json` file.
pub fn document(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("invalid JSON in {}", path.display()))
}

/// The text of a field. `None` if the field is absent or is not a text.
pub fn text<'a>(row: &'a Value, field: &str) -> Option<&'a str> {
    row.get(field).and_then(Value::as_str)
}

/// The number of a field. `None` if the field is absent or is not a number.
pub fn number(row: &Value, field: &str) -> Option<f64> {
    row.get(field).and_then(Value::as_f64)
}

/// A timestamp or duration in nanoseconds. The files have milliseconds with exactly six decimals.
pub fn nanoseconds(line: &str, field: &str) -> anyhow::Result<i128> {
    let from = line
        .find(&format!("\"{field}\":"))
        .with_context(|| format!("no {field} in {line}"))?;
    let value = &line[from + field.len() + 3..];
    let value = value.split([',', '}']).next().unwrap_or_default().trim();
    let (whole, fraction) = value
        .split_once('.')
        .with_context(|| format!("{field} is {value} in {line}"))?;
    ensure!(fraction.len() == 6, "{field} is {value}, without six decimals");
    format!("{whole}{fraction}")
        .parse()
        .with_context(|| format!("{field} is {value} in {line}"))
}

/// The rows by trace and node. No node may have two rows in the same trace.
pub fn by_trace(rows: &[Value]) -> anyhow::Result<HashMap<&str, Nodes<'_>>> {
    let mut traces: HashMap<&str, Nodes> = HashMap::new();
    for row in rows {
        let trace = text(row, "trace_id").with_context(|| format!("no trace_id in {row}"))?;
        let node = text(row, "node").with_context(|| format!("no node in {row}"))?;
        let before = traces.entry(trace).or_default().insert(node, row);
        ensure!(before.is_none(), "two rows of one node in a trace: {row}");
    }
    Ok(traces)
}
