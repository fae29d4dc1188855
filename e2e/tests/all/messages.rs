//! Stand-ins repeat a recorded run with messages: the producer's stand-in waits for the broker's delay, and each consumer gets
//! its message.

use std::fs;
use std::path::Path;

use e2e::binaries::{Done, cctf};
use e2e::exclusive;
use e2e::rows::{self, number, text};
use serde_json::{Value, json};

use crate::stand_ins::again;

/// Number of requests in the run. Each sends a message to two consumers.
const ROOTS: i64 = 10;
/// Time from the end of the producer's call to the start of each consumer, ms.
const DELAYS_MS: [i64; 2] = [20, 60];

fn id(root: i64, number: i64) -> String {
    format!("{:016x}", 100 * (root + 1) + number)
}

/// A row as the normalizer writes it. `times` are its timestamps in whole milliseconds.
fn line(mut row: Value, times: &[(&str, i64)]) -> String {
    for (name, ms) in times {
        row[*name] = json!(format!("<{ms}.000000>"));
    }
    row.to_string().replace("\"<", "").replace(">\"", "") + "\n"
}

fn invocation(root: i64, number: i64, module: &str, [start, end]: [i64; 2], more: Value) -> String {
    let mut row = json!({
        "trace_id": format!("{:032x}", root + 1), "span_id": id(root, number), "parent_id": null, "parent_span_id": null,
        "module_id": module, "instance_id": format!("{module}-1"), "node": "edge0", "stage": "edge", "method": "POST",
        "path": "/orders", "bytes_in": 100, "bytes_out": 20, "status": 200, "downstream_ms": null, "kind": "server"
    });
    for (name, value) in more.as_object().unwrap() {
        row[name] = value.clone();
    }
    let times = [
        ("ts_enqueue", start),
        ("ts_start", start),
        ("ts_end", end),
        ("cpu_time_ms", 1),
        ("queue_time_ms", 0),
        ("service_time_ms", end - start),
        ("rt_ms", end - start),
    ];
    line(row, &times)
}

/// Writes the run `r`: each request to `shop` sends a message, which `mail` and `stock` process later.
fn record(logs: &Path) {
    let cctf = logs.join("r/cctf");
    fs::create_dir_all(&cctf).unwrap();
    let (mut invocations, mut calls) = (String::new(), String::new());
    for root in 0..ROOTS {
        let at = 1_760_000_000_000 + 100 * root;
        let caller = json!({"parent_span_id": id(root, 1), "caller_span_id": id(root, 1)});
        invocations += &invocation(root, 2, "shop", [at + 1, at + 9], caller);
        for (number, (module, delay)) in (4..).zip(["mail", "stock"].into_iter().zip(DELAYS_MS)) {
            let consumer = json!({
                "parent_id": id(root, 2), "parent_span_id": id(root, 3), "caller_span_id": id(root, 3), "kind": "consumer",
                "method": "process", "path": "orders", "status": null
            });
            let start = at + 5 + delay;
            invocations += &invocation(root, number, module, [start, start + 3], consumer);
        }
        let call = |number: i64, module: &str, more: Value, [start, end]: [i64; 2]| {
            let mut row = json!({
                "trace_id": format!("{:032x}", root + 1), "span_id": id(root, number), "parent_span_id": null, "ancestor_id": null,
                "module_id": module, "instance_id": format!("{module}-1"), "node": "edge0", "stage": "edge",
                "method": "POST", "path": "/orders", "bytes_out": 100, "bytes_in": 20, "status": 200, "kind": "client"
            });
            for (name, value) in more.as_object().unwrap() {
                row[name] = value.clone();
            }
            line(row, &[("ts_start", start), ("ts_end", end)])
        };
        calls += &call(1, "client", json!({}), [at, at + 10]);
        let producer = json!({
            "parent_span_id": id(root, 2), "ancestor_id": id(root, 2), "kind": "producer", "method": "publish", "path": "orders",
            "bytes_in": null, "status": null
        });
        calls += &call(3, "shop", producer, [at + 3, at + 5]);
    }
    let module = |name: &str| {
        json!({
            "app_id": null, "module_id": name, "name": name, "type": "MODULE", "resources": null, "endpoints": [],
            "instances": [{"instance_id": format!("{name}-1"), "node_id": "edge0", "workers": 2, "slot_policy": "held", "slots_src": "told"}]
        })
    };
    let node = json!([{"node_id": "edge0", "stage": "edge", "cpu_cores": 2, "mem_mb": 1}]);
    let meta = r#"{"run_id":"r","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.000000,"ended_ts":1760000001100.000000,"time_base":"unix_utc","counts":{"spans":0,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}}"#;
    for (name, text) in [
        ("invocations.jsonl", invocations),
        ("calls.jsonl", calls),
        (
            "module_inventory.json",
            Value::from(["shop", "mail", "stock"].map(module).to_vec()).to_string(),
        ),
        ("nodes.json", node.to_string()),
        ("links.json", "[]".to_owned()),
        ("run_meta.json", meta.to_owned()),
    ] {
        fs::write(cctf.join(name), text).unwrap();
    }
}

#[test]
fn each_message_reaches_its_consumers_after_the_delay_of_the_broker() {
    let _machine = exclusive::machine();
    let logs = tempfile::tempdir().unwrap();
    record(logs.path());
    let mut run = again(Path::new("r"), logs.path());
    run.env("TMPDIR", logs.path());
    let done = Done::success("run --stand-in", &mut run).unwrap();
    assert_eq!(done.json().unwrap()["broken_rules"], 0);
    let folder = logs.path().join("again");
    let calls = rows::lines(&folder.join("cctf/calls.jsonl")).unwrap();
    let sent: Vec<&Value> = calls.iter().filter(|call| call["kind"] == "producer").collect();
    assert_eq!(sent.len() as i64, ROOTS);
    assert!(
        sent.iter()
            .all(|call| call["module_id"] == "shop" && call["path"] == "orders")
    );
    let invocations = rows::lines(&folder.join("cctf/invocations.jsonl")).unwrap();
    for (module, delay_ms) in ["mail", "stock"].into_iter().zip(DELAYS_MS) {
        let consumed: Vec<&Value> = invocations
            .iter()
            .filter(|row| row["module_id"] == module)
            .collect();
        assert_eq!(consumed.len() as i64, ROOTS, "{module}");
        for row in consumed {
            assert_eq!(
                (&row["kind"], &row["path"]),
                (&json!("consumer"), &json!("orders"))
            );
            let call = sent
                .iter()
                .find(|call| call["span_id"] == row["parent_span_id"])
                .unwrap();
            let waited = number(row, "ts_enqueue").unwrap() - number(call, "ts_end").unwrap();
            assert!(waited >= delay_ms as f64, "{module}: {waited} ms after {call}");
            assert!(text(row, "parent_id").is_some());
        }
    }
    let folders = [logs.path().join("r").into_os_string(), folder.into_os_string()];
    let args = ["compare", "--format", "json"].map(std::ffi::OsString::from);
    let compared = cctf(&[&args[..], &folders[..]].concat()).unwrap().json().unwrap();
    assert_eq!(compared["graph"], Value::Array(Vec::new()), "{compared}");
}
