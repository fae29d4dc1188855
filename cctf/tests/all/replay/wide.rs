//! A run of 300 modules with one instance each. `cctf replay --stand-in` can replay it, but one machine cannot run all its
//! stand-ins.

use std::fs;

use serde_json::{Value, json};

use super::stand_ins::{Fake, recorded};
use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// A run with one root. The module of the root calls each of the other modules in turn. Each has one instance, `i`.
fn wide(modules: u64) -> Logs {
    let start_ms = 1_760_000_000_000_u64;
    let (mut invocations, mut calls, mut inventory) = (String::new(), String::new(), Vec::new());
    let inner = |number: u64| {
        let start = start_ms + 2 * number;
        let row = row(0, &format!("m{number}"), 200);
        let (own, parent) = (format!("{:016x}", 1_000 + number), format!("{:016x}", 1_000));
        let call = format!("{:016x}", 5_000 + number);
        let mut row: Value = serde_json::from_str(&row).unwrap();
        let (from, to) = match number {
            0 => (start, start_ms + 2 * modules + 1),
            _ => (start, start + 1),
        };
        row["span_id"] = json!(own);
        if number > 0 {
            row["parent_id"] = json!(parent);
            row["parent_span_id"] = json!(call);
            row["caller_span_id"] = json!(call);
        }
        let trace = row["trace_id"].clone();
        // The numbers have six decimals, like those in a file.
        let times = [("ts_enqueue", from), ("ts_start", from), ("ts_end", to)];
        for (name, ms) in times {
            row[name] = json!(ms as f64);
        }
        row["queue_time_ms"] = json!(0.0);
        row["service_time_ms"] = json!((to - from) as f64);
        row["rt_ms"] = json!((to - from) as f64);
        let called = json!({
            "trace_id": trace, "span_id": call, "parent_span_id": parent, "ancestor_id": parent, "module_id": "m0", "instance_id": "i",
            "node": "n", "stage": "edge", "ts_start": from as f64, "ts_end": to as f64, "method": "GET", "path": "/a", "bytes_out": 0,
            "bytes_in": 0, "status": 200, "kind": "client"
        });
        (row, called)
    };
    for number in 0..modules {
        let (row, call) = inner(number);
        invocations += &format!("{row}\n");
        if number > 0 {
            calls += &format!("{call}\n");
        }
        inventory.push(json!({
            "app_id": null, "module_id": format!("m{number}"), "name": "m", "type": "MODULE", "resources": null, "endpoints": [],
            "instances": [{"instance_id": "i", "node_id": "n", "workers": 2, "slot_policy": "held", "slots_src": "told"}]
        }));
    }
    let logs = recorded(&invocations);
    logs.write("r", "calls.jsonl", &calls);
    logs.write("r", "module_inventory.json", &Value::from(inventory).to_string());
    logs
}

#[test]
fn a_run_of_300_modules_is_sent_to_300_stand_ins_not_to_one_machine() {
    const MODULES: u64 = 300;
    let logs = wide(MODULES);
    let names: Vec<String> = (0..MODULES).map(|number| format!("m{number}")).collect();
    let fakes: Vec<Fake> = names
        .iter()
        .map(|name| {
            Fake::start(
                json!({"stand_in": 1, "module": name, "instance": "i", "slots": 2, "slot_policy": "held"}),
            )
        })
        .collect();
    let instances = names.iter().zip(&fakes);
    let instances: Vec<Value> = instances
        .map(|(name, fake)| json!({"module": name, "instance": "i", "url": fake.url}))
        .collect();
    let file = json!({"version": 1, "instances": instances}).to_string();
    fs::write(logs.path().join("stand-ins.json"), file).unwrap();
    let command = |args: &[&str]| {
        let output = cctf(args)
            .args(["--logs-dir", "."])
            .current_dir(logs.path())
            .output();
        output.unwrap()
    };
    let done = command(&["replay", "r", "--stand-in", "stand-ins.json"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let bodies = fakes[0].bodies.lock().unwrap();
    let work = standin::decode(&bodies[0]).unwrap();
    assert_eq!((bodies.len(), work.calls.len() as u64), (1, MODULES - 1));
    assert_eq!(work.calls[298].callees[0].module, "m299");
    let done = command(&[
        "run",
        "--stand-in",
        "r",
        "--bin-dir",
        "/nowhere",
        "--run-id",
        "new",
    ]);
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    assert!(
        stderr(&done).ends_with(
            "it has 300 instances of 300 modules, and one machine takes 256; start them on several machines, and use cctf replay --stand-in\n"
        ),
        "{}",
        stderr(&done)
    );
    assert!(!logs.path().join("new").exists());
}
