//! [`Rows`]: rows made by hand. They are written as lines, decoded and collected.

use cctf_proto::cctf::{self, Invocation};
use plan::plan::{Plan, Regressed, Span};
use plan::work::{Collector, Recorded};
use serde_json::{Value, json};

pub const TRACE: &str = "000102030405060708090a0b0c0d0e0f";

/// Rows with all required fields. `fields` are added, or replace these. Times are whole milliseconds.
pub struct Rows(pub Collector);

impl Rows {
    pub fn new() -> Self {
        Self(Collector::default())
    }

    pub fn invocation(&mut self, span: u64, [enqueue, start, end]: [u64; 3], fields: Value) -> &mut Self {
        let mut row = json!({
            "trace_id": TRACE, "span_id": id(span), "parent_id": null, "parent_span_id": null, "module_id": "m",
            "instance_id": "i", "ts_enqueue": enqueue, "ts_start": start, "ts_end": end, "node": "n", "stage": "edge",
            "method": "GET", "path": "/", "bytes_in": 0, "bytes_out": 0, "cpu_time_ms": null,
            "queue_time_ms": start - enqueue, "service_time_ms": end - start, "rt_ms": end - enqueue, "status": 200,
            "downstream_ms": null, "kind": "server"
        });
        add(&mut row, fields);
        let line = row.to_string();
        let decoded: Invocation<'_> = serde_json::from_str(&line).unwrap();
        self.0.invocation(&decoded).unwrap();
        self
    }

    pub fn call(&mut self, span: u64, ancestor: u64, [start, end]: [u64; 2], fields: Value) -> &mut Self {
        let above = (ancestor > 0).then(|| id(ancestor));
        let mut row = json!({
            "trace_id": TRACE, "span_id": id(span), "parent_span_id": above, "ancestor_id": above, "module_id": "m",
            "instance_id": "i", "node": "n", "stage": "edge", "ts_start": start, "ts_end": end, "method": null,
            "path": null, "bytes_out": null, "bytes_in": null, "status": null
        });
        add(&mut row, fields);
        let line = row.to_string();
        let decoded: cctf::Call<'_> = serde_json::from_str(&line).unwrap();
        self.0.call(&decoded).unwrap();
        self
    }

    pub fn finish(&mut self) -> Recorded {
        std::mem::take(&mut self.0).finish().unwrap()
    }

    pub fn plan(&mut self) -> Plan {
        Plan::new(self.finish(), Span::ALL, &Regressed::default())
    }
}

pub fn add(row: &mut Value, fields: Value) {
    for (name, value) in fields.as_object().unwrap() {
        row[name] = value.clone();
    }
}

pub fn id(number: u64) -> String {
    format!("{number:016x}")
}

pub fn child_of(parent: u64, caller: u64) -> Value {
    json!({"parent_id": id(parent), "parent_span_id": id(caller), "caller_span_id": id(caller)})
}

pub fn add_to(mut row: Value, fields: Value) -> Value {
    add(&mut row, fields);
    row
}

pub fn child_of_outside(caller: u64) -> Value {
    json!({"parent_span_id": id(caller), "caller_span_id": id(caller)})
}
