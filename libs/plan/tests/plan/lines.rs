//! The JSON lines of a plan, as docs/plan.md describes them.

use plan::plan::write::{StationFit, header_line, root_line};
use plan::plan::{Plan, Window};
use plan::work::Station;
use rundir::parts::Target;
use serde_json::{Value, json};

use crate::rows::{MS, Rows, child_of, id, with};

fn lines(plan: &Plan) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut line = Vec::new();
    header_line("r", plan, &[], &plan.notes(), &mut line).unwrap();
    lines.push(serde_json::from_slice(&line).unwrap());
    for tree in plan.trees() {
        line.clear();
        root_line(plan, &tree, &mut line).unwrap();
        assert!(!line.contains(&b'\n'));
        lines.push(serde_json::from_slice(&line).unwrap());
    }
    lines
}

#[test]
fn a_plan_is_a_header_and_one_line_for_each_root() {
    let mut rows = Rows::default();
    let fields =
        json!({"cpu_time_ms": 2.000001, "parent_span_id": id(8), "caller_span_id": id(8), "route": "/shop"});
    rows.invocation(1, [10 * MS, 12 * MS, 42 * MS], fields);
    let callee = json!({"module_id": "db-front", "cpu_time_ms": 1, "status": 500, "error_type": "Full\n"});
    rows.invocation(2, [16 * MS, 16 * MS, 20 * MS], with(child_of(1, 3), callee));
    rows.call(8, 0, [9 * MS, 44 * MS], json!({"node": "driver"}));
    rows.call(
        3,
        1,
        [15 * MS, 22 * MS],
        json!({"peer": "db-front:80", "status": 500}),
    );
    rows.collector.instances()[0].station = Station {
        slots: Some(2),
        is_released: false,
        queue_limit: Some(9),
    };
    let lines = lines(&rows.plan());
    let header = &lines[0];
    assert_eq!(
        (&header["type"], &header["version"], &header["run_id"]),
        (&json!("plan"), &json!(1), &json!("r"))
    );
    assert_eq!(
        (&header["counts"]["roots"], &header["counts"]["invocations"]),
        (&json!(1), &json!(2))
    );
    assert_eq!(
        header["stations"][0],
        json!({"module": "m", "instance": "i", "node": "n", "slots": 2, "slot_policy": "held", "queue_limit": 9})
    );
    assert_eq!(header["self_check"]["deviations"], json!([]));
    assert_eq!(
        lines[1],
        json!({
            "type": "root", "at_ms": 10.0, "trace_id": crate::rows::trace(1), "span_id": id(8), "client_net_ms": 3.0,
            "invocations": [
                {
                    "module": "m", "instance": "i", "method": "GET", "route": "/shop", "kind": "server",
                    "cpu_ms": 2.000001, "other_ms": 20.999999, "bytes_in": 0, "bytes_out": 0, "status": 200,
                    "calls": [{
                        "gap_ms": 3.0, "cpu_ms": 0.260869, "what": "request", "to": "db-front", "method": "GET",
                        "path": "/", "callees": [{"invocation": 1}], "ends": "answer", "bytes_out": null,
                        "bytes_in": null, "status": 500, "failed": true, "net_ms": 3.0
                    }],
                    "answer": {"after": [0], "gap_ms": 20.0, "cpu_ms": 1.739132},
                    "recorded": {"response_ms": 32.0, "queue_ms": 2.0}
                },
                {
                    "module": "db-front", "instance": "i", "method": "GET", "route": "/", "kind": "server", "cpu_ms": 1.0,
                    "other_ms": 3.0, "bytes_in": 0, "bytes_out": 0, "status": 500, "error_type": "Full\n", "failed": true,
                    "calls": [], "answer": {"gap_ms": 4.0, "cpu_ms": 1.0}, "recorded": {"response_ms": 4.0, "queue_ms": 0.0}
                }
            ]
        })
    );
}

#[test]
fn a_warning_names_the_module_whose_waits_differ() {
    let fit = |simulated_p95_ms: f64, is_good| StationFit {
        module: "front".to_owned(),
        waits: 100,
        mean_ms: 2.0,
        simulated_mean_ms: 2.0,
        p95_ms: 10.0,
        simulated_p95_ms,
        is_good,
    };
    assert_eq!(fit(10.5, true).warning(), None);
    let warning = fit(12.0, false).warning().unwrap();
    assert!(
        warning.contains("front") && warning.contains("+20% (p95)"),
        "{warning}"
    );
}

/// A run of three roots at intervals of 10 s. The second root has a call.
fn write_run(folder: &std::path::Path) {
    let cctf = folder.join("cctf");
    std::fs::create_dir_all(&cctf).unwrap();
    let row = |number: u64, span: u64, at_ms: u64, above: &str| {
        format!(
            r#"{{"trace_id":"{number:032x}","span_id":"{span:016x}",{above},"module_id":"m","instance_id":"i","ts_enqueue":{at_ms},"ts_start":{at_ms},"ts_end":{at_ms},"node":"n","stage":"edge","method":"GET","path":"/","bytes_in":0,"bytes_out":0,"cpu_time_ms":null,"queue_time_ms":0,"service_time_ms":0,"rt_ms":0,"status":200,"downstream_ms":null,"kind":"server"}}"#
        )
    };
    let top = r#""parent_id":null,"parent_span_id":null"#;
    let below = format!(r#""parent_id":"{0}","parent_span_id":"{0}""#, id(2));
    let lines = [
        row(1, 1, 100_000, top),
        row(2, 2, 110_000, top),
        // Its trace is in the window, because the trace's root is.
        row(2, 4, 125_000, &below),
        "no row".to_owned(),
        row(3, 3, 120_000, top),
    ];
    std::fs::write(cctf.join("invocations.jsonl"), lines.join("\n") + "\n").unwrap();
    std::fs::write(cctf.join("run_meta.json"), r#"{"run_id":"r","ended_ts":1}"#).unwrap();
    std::fs::write(cctf.join("module_inventory.json"), "[]").unwrap();
}

#[test]
fn a_window_has_the_roots_that_arrive_in_it_with_everything_below() {
    let logs = tempfile::tempdir().unwrap();
    write_run(&logs.path().join("r"));
    let (run, first) = Target::Folder(logs.path().join("r")).find().unwrap().unwrap();
    let seconds = std::time::Duration::from_secs;
    for (from, to, roots, invocations) in [
        (0, None, 3, 4),
        (5, Some(15), 1, 2),
        (10, None, 2, 3),
        (0, Some(10), 1, 1),
    ] {
        let window = Window {
            from: seconds(from),
            to: to.map(seconds),
        };
        let (recorded, span) = plan::plan::read(&run, &first, window, &mut |_| {}).unwrap();
        assert_eq!(recorded.notes.damaged_lines, 1);
        let plan = Plan::new(recorded, span, &plan::plan::Regressed::default());
        assert_eq!((plan.counts.roots, plan.counts.invocations), (roots, invocations));
        let header = &lines(&plan)[0];
        assert_eq!(header["first_root_ts"], json!(100_000.0));
        assert!(
            plan.notes()
                .iter()
                .any(|note| note.contains("has no calls.jsonl"))
        );
    }
    let beyond = Window {
        from: seconds(60),
        to: None,
    };
    let error = plan::plan::read(&run, &first, beyond, &mut |_| {})
        .unwrap_err()
        .to_string();
    assert!(error.contains("no invocations in this time"), "{error}");
}
