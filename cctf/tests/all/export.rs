//! `cctf export`: the folder and its summary, and all invalid runs, windows, paths and assumptions.

use std::fs;
use std::process::Output;

use serde_json::Value;

use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// Runs `cctf export TARGET r` in the folder of all runs.
fn export(logs: &Logs, target: &str, args: &[&str]) -> Output {
    cctf(&["export", target, "r", "--logs-dir", "."])
        .args(args)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

fn logs() -> Logs {
    Logs::with(
        &(0..10)
            .map(|second| row(second, "front", 200))
            .collect::<String>(),
    )
}

/// The names in the folder of all runs, except for the run of the tests.
fn left(logs: &Logs) -> Vec<String> {
    let entries = fs::read_dir(logs.path()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name != "r").collect();
    names.sort();
    names
}

#[test]
fn an_export_is_a_folder_with_its_assumptions() {
    let logs = logs();
    let done = export(
        &logs,
        "perfetto",
        &[
            "--out",
            "x/timeline",
            "--from",
            "2s",
            "--to",
            "6s",
            "--limit",
            "3",
        ],
    );
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = String::from_utf8_lossy(&done.stdout);
    for expected in [
        "perfetto of r\n  roots       3\n  invocations 3\n  calls       0\n  bytes       30 received, 0 sent\n",
        "1 root is left out because of --limit",
        "x/timeline: 2 files, 0.0 MB\nopen x/timeline/trace.pftrace at https://ui.perfetto.dev\n",
    ] {
        assert!(text.contains(expected), "{text}");
    }
    let folder = logs.path().join("x/timeline");
    let file: Value = serde_json::from_slice(&fs::read(folder.join("assumptions.json")).unwrap()).unwrap();
    assert_eq!(
        (&file["target"], &file["run_id"]),
        (&"perfetto".into(), &"r".into())
    );
    assert_eq!(file["counts"]["bytes_in"], 30);
    let limit = file["assumptions"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["id"] == "limit")
        .unwrap();
    assert_eq!((&limit["count"], &limit["matters"]), (&1.into(), &false.into()));
    assert_eq!(left(&logs), ["x"]);
}

#[test]
fn the_json_summary_has_counts_files_and_assumptions() {
    let logs = logs();
    let done = export(&logs, "perfetto", &["--out", "t", "--format", "json"]);
    let summary: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(summary["counts"]["invocations"], 10);
    let files = summary["files"].as_array().unwrap();
    let names: Vec<&Value> = files.iter().map(|file| &file["name"]).collect();
    assert_eq!(names, ["assumptions.json", "trace.pftrace"]);
    for file in files {
        let path = logs.path().join("t").join(file["name"].as_str().unwrap());
        assert_eq!(file["bytes"], fs::metadata(path).unwrap().len());
    }
}

#[test]
fn an_existing_path_is_refused_and_stays() {
    let logs = logs();
    fs::write(logs.path().join("file"), "mine").unwrap();
    fs::create_dir(logs.path().join("folder")).unwrap();
    for out in ["file", "folder"] {
        let done = export(&logs, "perfetto", &["--out", out]);
        let expected =
            format!("cctf: cannot create {out}: it already exists; choose another path with --out\n");
        assert_eq!((done.status.code(), stderr(&done)), (Some(2), expected));
    }
    assert_eq!(fs::read(logs.path().join("file")).unwrap(), b"mine");
    assert_eq!(left(&logs), ["file", "folder"]);
}

#[test]
fn strict_refuses_what_matters_and_leaves_nothing() {
    let logs = logs();
    fs::remove_file(logs.path().join("r/cctf/calls.jsonl")).unwrap();
    let done = export(&logs, "perfetto", &["--out", "t", "--strict"]);
    let expected =
        "cctf: cannot export r with --strict: r has no calls.jsonl; omit --strict to accept this\n";
    assert_eq!((done.status.code(), stderr(&done).as_str()), (Some(1), expected));
    assert!(left(&logs).is_empty(), "{:?}", left(&logs));
    let done = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    assert!(String::from_utf8_lossy(&done.stdout).contains("warning     r has no calls.jsonl\n"));
}

#[test]
fn a_missing_run_and_an_empty_window_are_refused() {
    let logs = logs();
    let window = export(&logs, "perfetto", &["--out", "t", "--from", "1m"]);
    let text = stderr(&window);
    assert!(
        window.status.code() != Some(0) && text.starts_with("cctf: ") && text.lines().count() == 1,
        "{text}"
    );
    let inverted = export(&logs, "perfetto", &["--out", "t", "--from", "5s", "--to", "2s"]);
    assert_eq!(inverted.status.code(), Some(2));
    fs::remove_dir_all(logs.path().join("r")).unwrap();
    let missing = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        stderr(&missing).contains("cannot find run"),
        "{}",
        stderr(&missing)
    );
    assert!(left(&logs).is_empty(), "{:?}", left(&logs));
}

#[test]
fn damaged_lines_are_counted_and_change_the_exit_code() {
    let logs = Logs::with(&(row(0, "front", 200) + "{\"trace_id\":1}\n"));
    let done = export(&logs, "perfetto", &["--out", "t"]);
    assert_eq!(done.status.code(), Some(1));
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(
        text.contains("warning     1 line is damaged and is left out"),
        "{text}"
    );
    assert!(
        stderr(&done).contains("1 damaged line is left out"),
        "{}",
        stderr(&done)
    );
}

/// A row of an invocation of module `m`, times in ms.
fn invocation(span: u8, caller: Option<(u8, u8)>, begin: u64, end: u64) -> String {
    let id = |span: u8| format!("\"{span:016x}\"");
    let (parent, call) = caller.map_or(("null".to_owned(), String::new()), |(parent, call)| {
        (id(parent), format!(",\"caller_span_id\":{}", id(call)))
    });
    let parent_span = caller.map_or("null".to_owned(), |(_, call)| id(call));
    format!(
        r#"{{"trace_id":"{:032x}","span_id":{},"parent_id":{parent},"parent_span_id":{parent_span},"module_id":"m{span}","instance_id":"i","ts_enqueue":{begin}.000000,"ts_start":{begin}.000000,"ts_end":{end}.000000,"node":"n{span}","stage":"edge","method":"GET","path":"/a","bytes_in":10,"bytes_out":20,"cpu_time_ms":0.500000,"queue_time_ms":0.000000,"service_time_ms":{duration}.000000,"rt_ms":{duration}.000000,"status":200,"downstream_ms":null,"kind":"server"{call}}}"#,
        1,
        id(span),
        duration = end - begin,
    ) + "\n"
}

/// A row of a call, times in ms.
fn call(span: u8, caller: u8, begin: u64, end: u64) -> String {
    format!(
        r#"{{"trace_id":"{:032x}","span_id":"{span:016x}","parent_span_id":"{caller:016x}","ancestor_id":"{caller:016x}","module_id":"m{caller}","instance_id":"i","node":"n{caller}","stage":"edge","ts_start":{begin}.000000,"ts_end":{end}.000000,"method":"GET","path":"/a","bytes_out":10,"bytes_in":20,"status":200,"kind":"client","peer":"db"}}"#,
        1
    ) + "\n"
}

#[test]
fn a_workflow_has_the_own_times_between_calls_in_their_order() {
    // Invocation 1 calls a database from 1 to 4 ms, and invocation 2 from 5 to 9 ms. Invocation 2 runs from 6 to 8 ms.
    let logs = Logs::with(&(invocation(1, None, 1000, 1010) + &invocation(2, Some((1, 0x12)), 1006, 1008)));
    logs.write(
        "r",
        "calls.jsonl",
        &(call(0x11, 1, 1001, 1004) + &call(0x12, 1, 1005, 1009)),
    );
    let done = export(&logs, "wfformat", &["--out", "w"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let text = fs::read(logs.path().join("w/workflow.json")).unwrap();
    let workflow: Value = serde_json::from_slice(&text).unwrap();
    let specified = workflow["workflow"]["specification"]["tasks"].as_array().unwrap();
    let executed = workflow["workflow"]["execution"]["tasks"].as_array().unwrap();
    let found: Vec<(&str, String, f64)> = specified
        .iter()
        .zip(executed)
        .map(|(task, times)| {
            assert_eq!(task["id"], times["id"]);
            let parents = task["parents"].as_array().unwrap().iter();
            let parents: Vec<&str> = parents.map(|id| id.as_str().unwrap()).collect();
            let milliseconds = times["runtimeInSeconds"].as_f64().unwrap() * 1e3;
            (task["id"].as_str().unwrap(), parents.join(" "), milliseconds)
        })
        .collect();
    let expected = [
        ("0.arrival", "", 0.0),
        ("0.0.0", "0.arrival", 1.0),
        ("0.0.1", "0.0.0.wait", 1.0),
        ("0.0.answer", "0.1.answer", 1.0),
        ("0.1.answer", "0.0.1", 2.0),
        ("0.0.0.wait", "0.0.0", 3.0),
    ];
    assert_eq!(
        found,
        expected.map(|(id, parents, ms)| (id, parents.to_owned(), ms))
    );
}

#[test]
fn a_workload_has_a_file_for_each_instance() {
    let logs = Logs::with(&(invocation(1, None, 1000, 1010) + &invocation(2, Some((1, 0x12)), 1006, 1008)));
    logs.write("r", "calls.jsonl", &call(0x12, 1, 1005, 1009));
    let done = export(&logs, "cloudsim", &["--out", "c"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let read = |name: &str| fs::read_to_string(logs.path().join("c").join(name)).unwrap();
    assert_eq!(
        read("stations.csv"),
        "station,file,slots,instance\n0,swf/0.swf,1,m1 i\n1,swf/1.swf,1,m2 i\n"
    );
    let jobs = |name: &str| {
        read(name)
            .lines()
            .filter(|line| !line.starts_with(';'))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        jobs("swf/0.swf"),
        ["1 0 0 10000 1 500 1 1 -1 -1 1 -1 -1 -1 0 -1 -1 -1"]
    );
    assert_eq!(
        jobs("swf/1.swf"),
        ["1 6000 0 2000 1 500 1 1 -1 -1 1 -1 -1 -1 1 -1 -1 -1"]
    );
}

#[test]
fn other_names_give_the_same_simulation() {
    let rows = invocation(1, None, 1000, 1010) + &invocation(2, Some((1, 0x12)), 1006, 1008);
    let calls = call(0x11, 1, 1001, 1004) + &call(0x12, 1, 1005, 1009);
    // The new names are in the opposite order.
    let renamed = |text: &str| {
        let pairs = [
            ("\"m1\"", "\"z\""),
            ("\"m2\"", "\"b\""),
            ("\"n1\"", "\"y\""),
            ("\"n2\"", "\"a\""),
            ("\"/a\"", "\"/q\""),
        ];
        pairs
            .iter()
            .fold(text.to_owned(), |text, (from, to)| text.replace(from, to))
    };
    let exports = [false, true].map(|is_renamed| {
        let text = |text: &str| {
            if is_renamed {
                renamed(text)
            } else {
                text.to_owned()
            }
        };
        let logs = Logs::with(&text(&rows));
        logs.write("r", "calls.jsonl", &text(&calls));
        for (target, out) in [("wfformat", "w"), ("cloudsim", "c")] {
            let done = export(&logs, target, &["--out", out]);
            assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
        }
        let read = |name: &str| fs::read_to_string(logs.path().join(name)).unwrap();
        let swf = ["c/swf/0.swf", "c/swf/1.swf"].map(read).concat();
        let jobs: Vec<String> = swf
            .lines()
            .filter(|line| !line.starts_with(';'))
            .map(str::to_owned)
            .collect();
        let mut workflow: Value = serde_json::from_str(&read("w/workflow.json")).unwrap();
        let tasks = workflow["workflow"]["specification"]["tasks"]
            .as_array_mut()
            .unwrap();
        for task in tasks {
            task["name"].take();
        }
        let names: Vec<Value> = workflow["workflow"]["execution"]["machines"]
            .as_array()
            .unwrap()
            .iter()
            .map(|machine| machine["nodeName"].clone())
            .collect();
        let tasks = workflow["workflow"]["execution"]["tasks"].as_array_mut().unwrap();
        for task in tasks {
            let place = names.iter().position(|name| *name == task["machines"][0]);
            task["machines"] = place.into();
        }
        workflow["workflow"]["execution"]["machines"].take();
        (jobs, workflow)
    });
    assert_eq!(exports[0], exports[1]);
}
