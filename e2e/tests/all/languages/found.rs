//! Traces according to the run's files: trees that are made only from `parent_id`, `ancestor_id` and `parent_span_id`.

use std::collections::BTreeMap;

use e2e::rows::text;
use serde_json::Value;

use super::trace::{Call, Facts, Invocation, Trace};

/// The rows of one trace.
#[derive(Default)]
struct Rows<'a> {
    invocations: Vec<&'a Value>,
    calls: Vec<&'a Value>,
}

/// The traces by id. Asserts that every row belongs to one of them.
pub fn traces(invocations: &[Value], calls: &[Value]) -> BTreeMap<String, Trace> {
    let mut by_trace: BTreeMap<&str, Rows<'_>> = BTreeMap::new();
    for row in invocations {
        let rows = by_trace.entry(text(row, "trace_id").unwrap()).or_default();
        rows.invocations.push(row);
    }
    for row in calls {
        let rows = by_trace.entry(text(row, "trace_id").unwrap()).or_default();
        rows.calls.push(row);
    }
    by_trace
        .into_iter()
        .map(|(id, rows)| (id.to_owned(), rows.trace()))
        .collect()
}

impl Rows<'_> {
    fn trace(&self) -> Trace {
        let driven: Vec<&&Value> = self
            .calls
            .iter()
            .filter(|call| text(call, "module_id") == Some("cctf-load"))
            .collect();
        assert_eq!(driven.len(), 1, "calls of the driver: {:?}", self.calls);
        let mut placed = 0;
        let trace = Trace(self.call(driven[0], None, &mut placed));
        let all = self.calls.len() + self.invocations.len();
        let rows: Vec<String> = self
            .calls
            .iter()
            .chain(&self.invocations)
            .map(|row| summary(row))
            .collect();
        assert_eq!(
            placed,
            all,
            "some rows have no place below the driver's call: {}",
            rows.join("; ")
        );
        trace
    }

    /// A call of the invocation `caller`.
    fn call(&self, row: &Value, caller: Option<&str>, placed: &mut usize) -> Call {
        *placed += 1;
        assert_eq!(text(row, "ancestor_id"), caller, "{row}");
        let id = text(row, "span_id");
        let reached = self
            .invocations
            .iter()
            .filter(|row| text(row, "parent_span_id") == id);
        Call {
            facts: facts(row),
            reached: reached.map(|row| self.invocation(row, caller, placed)).collect(),
        }
    }

    /// An invocation whose parent is the invocation `parent`.
    fn invocation(&self, row: &Value, parent: Option<&str>, placed: &mut usize) -> Invocation {
        *placed += 1;
        assert_eq!(text(row, "parent_id"), parent, "{row}");
        let id = text(row, "span_id");
        let calls = self.calls.iter().filter(|row| text(row, "ancestor_id") == id);
        Invocation {
            facts: facts(row),
            calls: calls.map(|row| self.call(row, id, placed)).collect(),
        }
    }
}

/// The values of a row that explain a failed test, as a short text.
fn summary(row: &Value) -> String {
    let fields = [
        "module_id",
        "path",
        "span_id",
        "parent_span_id",
        "parent_id",
        "ancestor_id",
    ];
    let texts: Vec<&str> = fields.map(|field| text(row, field).unwrap_or("-")).into();
    texts.join(" ")
}

fn facts(row: &Value) -> Facts {
    let owned = |field| text(row, field).map(str::to_owned);
    Facts {
        module: owned("module_id").unwrap(),
        protocol: owned("protocol").unwrap_or_default(),
        method: owned("method"),
        path: owned("path"),
        status: row["status"].as_i64(),
        bytes: ["bytes_in", "bytes_out"].map(|field| row[field].as_u64()),
    }
}
