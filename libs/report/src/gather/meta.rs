//! [`read`]: the facts in `run_meta.json`.

use analyze::stats::opened::Opened;
use cctf_proto::cctf::{Field, File, Row, RunMeta, WHOLE_BYTES_MAX};
use rundir::{ReadError, RunFolder};
use serde_json::{Map, Value};

use crate::model::Meta;

/// Fields that are shown elsewhere, or that differ between the parts of a run.
const NOT_FACTS: [&str; 5] = ["run_id", "started_ts", "ended_ts", "part", "counts"];
const COUNTS: &str = "counts";

/// The facts of the first part, the end of the last part, and the sums of the counts of all parts. `None` if the file of a part
/// is missing or invalid.
///
/// # Errors
/// If a file cannot be read.
pub fn read(opened: &Opened, notes: &mut Vec<String>) -> Result<Option<Meta>, ReadError> {
    let mut meta = None;
    let mut counts = Map::new();
    for part in &opened.parts {
        let folder = RunFolder::open(&opened.run.folder(part))?;
        let bytes = folder.whole(File::RunMeta, WHOLE_BYTES_MAX)?;
        let text = bytes.as_deref().unwrap_or_default();
        let (Ok(row), Ok(object)) = (
            serde_json::from_slice::<RunMeta<'_>>(text),
            serde_json::from_slice::<Map<String, Value>>(text),
        ) else {
            let state = if bytes.is_some() { "an invalid" } else { "no" };
            notes.push(format!(
                "{} has {state} run_meta.json, so the parameters of the run are unknown",
                part.folder()
            ));
            return Ok(None);
        };
        let found = meta.get_or_insert_with(|| Meta {
            started_ns: row.started_ts.as_ns(),
            ended_ns: None,
            facts: facts(RunMeta::FIELDS, &object),
        });
        found.ended_ns = row.ended_ts.map(|end| end.as_ns());
        if let Some(Value::Object(more)) = object.get(COUNTS) {
            add(&mut counts, more);
        }
    }
    if let Some(meta) = &mut meta {
        push_counts(COUNTS, &counts, &mut meta.facts);
    }
    Ok(meta)
}

/// The fields of an object as text, in the contract's order.
fn facts(fields: &[Field], object: &Map<String, Value>) -> Vec<(String, String)> {
    let names = fields.iter().map(|field| field.name);
    let names = names.filter(|name| !NOT_FACTS.contains(name));
    let fact = |name: &str| {
        let text = match object.get(name)? {
            Value::Null => return None,
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        Some((name.to_owned(), text))
    };
    names.filter_map(fact).collect()
}

/// Adds the counts of a part to the sums of earlier parts.
fn add(sums: &mut Map<String, Value>, more: &Map<String, Value>) {
    for (name, value) in more {
        match value {
            Value::Object(more) => {
                let sum = sums.entry(name).or_insert_with(|| Map::new().into());
                if let Value::Object(sum) = sum {
                    add(sum, more);
                }
            }
            value => {
                let sum = sums.get(name).and_then(Value::as_u64).unwrap_or(0);
                let sum = sum.saturating_add(value.as_u64().unwrap_or(0));
                sums.insert(name.clone(), sum.into());
            }
        }
    }
}

/// Adds counts that are not zero. Each name begins with the names of the enclosing objects (`above`).
fn push_counts(above: &str, counts: &Map<String, Value>, facts: &mut Vec<(String, String)>) {
    for (name, value) in counts {
        let name = format!("{above}.{name}");
        match value {
            Value::Object(counts) => push_counts(&name, counts, facts),
            value if value.as_u64() == Some(0) => {}
            value => facts.push((name, value.to_string())),
        }
    }
}
