//! Input that `cctf replay` refuses.

use std::fs;
use std::path::Path;

use super::{CHECKOUT, Call, ENDED, JSON, record, replay, url};
use crate::servers::{Answers, NOBODY, Servers};
use crate::stderr;

/// Each error is one sentence, before the first request and before a run is reported.
#[test]
fn bad_input_is_one_sentence_before_anything_is_sent() {
    let servers = Servers::start(Answers::Accept, None);
    let target = url(&servers);
    let logs = tempfile::tempdir().unwrap();
    let (open, run) = (
        logs.path().join("open"),
        record(logs.path(), &[JSON, CHECKOUT], ENDED),
    );
    let open = record(&open, &[JSON], "null");
    let orphan = Call {
        more: r#","flags":["orphan"]"#,
        ..JSON
    };
    let orphans_alone = [Call { ..orphan }];
    let orphans = record(&logs.path().join("orphans"), &[JSON, orphan], ENDED);
    let only_orphans = record(&logs.path().join("only-orphans"), &orphans_alone, ENDED);
    let message = Call {
        more: r#","flags":[]"#,
        method: "send",
        ..JSON
    };
    let messages = record(&logs.path().join("messages"), &[message], ENDED);
    let damaged = record(&logs.path().join("damaged"), &[JSON], ENDED);
    let calls = Path::new(&damaged).join("cctf/calls.jsonl");
    fs::write(&calls, fs::read_to_string(&calls).unwrap() + "{\"trace_id\":\n").unwrap();
    let torn = record(&logs.path().join("torn"), &[JSON, JSON], ENDED);
    let calls = Path::new(&torn).join("cctf/calls.jsonl");
    let text = fs::read_to_string(&calls).unwrap();
    fs::write(&calls, &text[..text.len() - 10]).unwrap();
    let no_inventory = record(&logs.path().join("no-inventory"), &[JSON], ENDED);
    fs::remove_file(Path::new(&no_inventory).join("cctf/module_inventory.json")).unwrap();
    let out_inside = Path::new(&run).join("cctf/calls.jsonl");
    let out_new = Path::new(&run).join("client/new/events.jsonl");
    let sizeless = with_calls(&logs.path().join("sizeless"), |call| {
        call.replace("\"bytes_out\":100", "\"bytes_out\":null")
    });
    let many_modules = with_calls(&logs.path().join("many-modules"), |call| {
        let of_module = |number| {
            call.replace("\"front\"", &format!("\"m{number}\""))
                .replace(&format!("{:016x}", 1), &format!("{:016x}", number + 1))
        };
        (0..1_001).map(of_module).collect()
    });
    fs::create_dir(logs.path().join("kept-aa2")).unwrap();
    let elsewhere = logs.path().join("elsewhere");
    fs::create_dir_all(elsewhere.join("new-aa1")).unwrap();
    let elsewhere = elsewhere.to_str().unwrap();
    let bodies = logs.path().join("bodies.toml");
    fs::write(
        &bodies,
        "[[template]]\nroute = \"/checkout\"\nbody = '{{inde}}'\n",
    )
    .unwrap();
    let bodies = bodies.to_str().unwrap();
    let none = logs.path().join("none.toml");
    let front = format!("front={target}");
    let target = ["--target", target.as_str()];
    for (run, flags, code, part) in [
        (
            &open,
            &target[..],
            1,
            "cannot replay first: the run has not ended",
        ),
        (&run, &["--target", &front], 2, "no target for module \"cart\""),
        (
            &run,
            &[target[0], target[1], "--target", "crat=http://127.0.0.1:1"],
            2,
            "cannot use --target for crat",
        ),
        (
            &run,
            &[target[0], target[1], target[0], target[1]],
            2,
            "two targets for all modules",
        ),
        (
            &run,
            &["--target", "http://192.0.2.1:8080"],
            2,
            "allow it with --allow-target 192.0.2.1",
        ),
        (&run, &["--target", "https://127.0.0.1:1"], 2, "without TLS"),
        (&run, &["--target", NOBODY], 1, "cannot connect to"),
        (
            &run,
            &[target[0], target[1], "--bodies", bodies],
            2,
            "unknown placeholder {{inde}}",
        ),
        (
            &run,
            &[target[0], target[1], "--bodies", none.to_str().unwrap()],
            2,
            "cannot read",
        ),
        (
            &run,
            &[target[0], target[1], "--strict"],
            1,
            "it has 1 body of unknown content",
        ),
        (
            &run,
            &[target[0], target[1], "--from", "1s"],
            2,
            "choose an earlier start",
        ),
        (
            &run,
            &[target[0], target[1], "--scale", "2", "--by", "thin"],
            2,
            "cannot thin by 2",
        ),
        (&run, &[target[0], target[1], "--scale", "2"], 2, "--by"),
        (&run, &[target[0], target[1], "--speed", "0"], 2, "invalid factor"),
        (&run, &[], 2, "--target"),
        (
            &orphans,
            &[target[0], target[1], "--strict"],
            1,
            "it has 1 orphan",
        ),
        (
            &run,
            &[target[0], target[1], "--run-id", "first"],
            2,
            "cannot replay first as run first: this run exists",
        ),
        (
            &run,
            &[target[0], target[1], "--run-id", "kept", "--aa", "3"],
            2,
            "cannot replay first as run kept-aa2: this run exists",
        ),
        (
            &run,
            &[
                target[0],
                target[1],
                "--run-id",
                "kept",
                "--aa",
                "3",
                "--logs-dir",
                elsewhere,
            ],
            2,
            "cannot replay first as run kept-aa2: this run exists",
        ),
        (
            &run,
            &[
                target[0],
                target[1],
                "--run-id",
                "new",
                "--aa",
                "1",
                "--logs-dir",
                elsewhere,
            ],
            2,
            "cannot replay first as run new-aa1: this run exists",
        ),
        (
            &sizeless,
            &[target[0], target[1], "--strict"],
            1,
            "it has 1 body of unknown size",
        ),
        (
            &many_modules,
            &target[..],
            1,
            "it has requests to more than 1000 modules",
        ),
        (
            &only_orphans,
            &target[..],
            1,
            "it has only 1 orphan; send them with --orphans root",
        ),
        (
            &messages,
            &target[..],
            1,
            "none of its 1 root can be sent over HTTP (1 http_incomplete)",
        ),
        (
            &damaged,
            &[target[0], target[1], "--strict"],
            1,
            "it has 1 damaged line",
        ),
        (
            &torn,
            &[target[0], target[1], "--strict"],
            1,
            "it has 1 damaged line",
        ),
        (
            &no_inventory,
            &[target[0], target[1], "--strict"],
            1,
            "first has no valid module_inventory.json",
        ),
        (
            &run,
            &[target[0], target[1], "--out", out_inside.to_str().unwrap()],
            2,
            "it is in the folder of the recorded run",
        ),
        (
            &run,
            &[target[0], target[1], "--out", out_new.to_str().unwrap()],
            2,
            "it is in the folder of the recorded run",
        ),
        (
            &run,
            &[target[0], target[1], "--bodies", "/dev/zero"],
            2,
            "it is not a regular file",
        ),
        (&run, &[target[0], target[1], "--limit", "0"], 2, "--limit"),
    ] {
        let output = replay(run, &servers, flags);
        let error = stderr(&output);
        assert_eq!(output.status.code(), Some(code), "{flags:?}: {error}");
        assert!(error.contains(part), "{flags:?}: {error}");
        assert!(output.stdout.is_empty(), "{flags:?}");
    }
    assert!(servers.seen().is_empty() && servers.spans().is_empty());
}

/// A run with one call. `change` replaces the line of the call.
fn with_calls(logs: &Path, change: impl Fn(&str) -> String) -> String {
    let run = record(logs, &[JSON], ENDED);
    let path = Path::new(&run).join("cctf/calls.jsonl");
    let line = fs::read_to_string(&path).unwrap();
    fs::write(&path, change(&line)).unwrap();
    run
}
