//! The files that a run leaves, read as anyone would read them: a line, a JSON object.

use std::fs;
use std::path::Path;

use anyhow::{Context, ensure};
use serde_json::Value;

/// All rows of a `.jsonl` file.
///
/// # Errors
/// If it cannot be read, a line is no JSON, or the last line is not whole.
pub fn lines(path: &Path) -> anyhow::Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        text.is_empty() || text.ends_with('\n'),
        "{} ends in half a line",
        path.display()
    );
    let parsed = text.lines().enumerate().map(|(number, line)| {
        serde_json::from_str(line).with_context(|| format!("{}:{}: {line}", path.display(), number + 1))
    });
    parsed.collect()
}

/// A `.json` file.
///
/// # Errors
/// If it cannot be read or is no JSON.
pub fn document(path: &Path) -> anyhow::Result<Value> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} is no JSON", path.display()))
}

/// The text in a field, or nothing.
pub fn text<'a>(row: &'a Value, field: &str) -> Option<&'a str> {
    row.get(field).and_then(Value::as_str)
}

/// The number in a field, or nothing.
pub fn number(row: &Value, field: &str) -> Option<f64> {
    row.get(field).and_then(Value::as_f64)
}

/// Nanoseconds of a stamp or duration in milliseconds, which the files write with exactly six places.
///
/// # Errors
/// If there is no such field, or it is no such number.
pub fn nanoseconds(line: &str, field: &str) -> anyhow::Result<i128> {
    let from = line
        .find(&format!("\"{field}\":"))
        .with_context(|| format!("no {field} in {line}"))?;
    let value = &line[from + field.len() + 3..];
    let value = value.split([',', '}']).next().unwrap_or_default().trim();
    let (whole, fraction) = value
        .split_once('.')
        .with_context(|| format!("{field} is {value} in {line}"))?;
    ensure!(fraction.len() == 6, "{field} is {value}, without six places");
    format!("{whole}{fraction}")
        .parse()
        .with_context(|| format!("{field} is {value} in {line}"))
}
