//! Rows made by hand, with the fields that a plan needs.

use cctf_proto::cctf::{self, Invocation, Milliseconds};
use plan::plan::{Plan, Regressed, Span, Tree};
use plan::work::{Collector, Recorded};
use serde_json::{Value, json};

pub const MS: i64 = 1_000_000;

/// A call that is added after all invocations: its span, its ancestor, its times and further fields.
type LaterCall = (u64, u64, [i64; 2], Value);

/// Rows with all required fields. Further fields are added, or replace these.
#[derive(Default)]
pub struct Rows {
    pub collector: Collector,
    pub calls_later: Vec<LaterCall>,
}

impl Rows {
    /// An invocation that arrives, starts and ends at these times, in nanoseconds.
    pub fn invocation(&mut self, span: u64, [enqueue, start, end]: [i64; 3], fields: Value) -> &mut Self {
        let mut row = json!({
            "trace_id": trace(1), "span_id": id(span), "parent_id": null, "parent_span_id": null, "module_id": "m",
            "instance_id": "i", "ts_enqueue": 0, "ts_start": 0, "ts_end": 0, "node": "n", "stage": "edge",
            "method": "GET", "path": "/", "bytes_in": 0, "bytes_out": 0, "cpu_time_ms": null,
            "queue_time_ms": 0, "service_time_ms": 0, "rt_ms": 0, "status": 200,
            "downstream_ms": null, "kind": "server"
        });
        for (name, ns) in [
            ("ts_enqueue", enqueue),
            ("ts_start", start),
            ("ts_end", end),
            ("queue_time_ms", start - enqueue),
            ("service_time_ms", end - start),
            ("rt_ms", end - enqueue),
        ] {
            row[name] = ms(ns);
        }
        add(&mut row, fields);
        let line = line(&row);
        let row: Invocation<'_> = serde_json::from_str(&line).unwrap();
        self.collector.invocation(&row).unwrap();
        self
    }

    /// Adds a call of an invocation. With ancestor 0, the call is from outside.
    pub fn call(&mut self, span: u64, ancestor: u64, [start, end]: [i64; 2], fields: Value) -> &mut Self {
        let above = (ancestor > 0).then(|| id(ancestor));
        let mut row = json!({
            "trace_id": trace(1), "span_id": id(span), "parent_span_id": above, "ancestor_id": above, "module_id": "m",
            "instance_id": "i", "node": "n", "stage": "edge", "ts_start": ms(start), "ts_end": ms(end), "method": null,
            "path": null, "bytes_out": null, "bytes_in": null, "status": null
        });
        add(&mut row, fields);
        let line = line(&row);
        let row: cctf::Call<'_> = serde_json::from_str(&line).unwrap();
        self.collector.call(&row).unwrap();
        self
    }

    pub fn finish(&mut self) -> Recorded {
        for (span, ancestor, times, fields) in std::mem::take(&mut self.calls_later) {
            self.call(span, ancestor, times, fields);
        }
        std::mem::take(&mut self.collector).finish().unwrap()
    }

    pub fn plan(&mut self) -> Plan {
        plan_of(self.finish())
    }
}

pub fn plan_of(recorded: Recorded) -> Plan {
    Plan::new(recorded, Span::ALL, &Regressed::default())
}

pub fn trees(plan: &Plan) -> Vec<Tree> {
    plan.trees().collect()
}

fn add(row: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
}

/// Prefix of a text that represents a number. As a JSON number it would be written as `5e-6`, which no row contains.
const EXACT: &str = "exactly ";

/// Nanoseconds as milliseconds with all digits, in the form that rows have.
pub fn ms(ns: i64) -> Value {
    format!("{EXACT}{}", Milliseconds::from_ns(ns)).into()
}

/// The row in the form that files have.
fn line(row: &Value) -> String {
    let text = row.to_string();
    let begin = format!("\"{EXACT}");
    let mut parts = text.split(&begin);
    let mut line = parts.next().unwrap().to_owned();
    for part in parts {
        let (number, rest) = part.split_once('"').unwrap();
        line.extend([number, rest]);
    }
    line
}

#[test]
fn a_time_below_a_microsecond_is_written_with_all_digits() {
    let mut rows = Rows::default();
    rows.invocation(1, [5, 6, 17], json!({"cpu_time_ms": ms(5)}));
    let recorded = rows.finish();
    assert_eq!(recorded.works[0].facts.cpu_ns, Some(5));
}

pub fn id(number: u64) -> String {
    format!("{number:016x}")
}

pub fn trace(number: u64) -> String {
    format!("{number:032x}")
}

/// The fields of an invocation that was caused by a call of another invocation.
pub fn child_of(parent: u64, caller: u64) -> Value {
    json!({"parent_id": id(parent), "parent_span_id": id(caller), "caller_span_id": id(caller)})
}

/// Like [`child_of`], if the row does not name the call.
pub fn below(parent: u64, call: u64) -> Value {
    json!({"parent_id": id(parent), "parent_span_id": id(call)})
}

pub fn with(mut fields: Value, more: Value) -> Value {
    add(&mut fields, more);
    fields
}
