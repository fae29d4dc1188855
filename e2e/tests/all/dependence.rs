//! The plan of a real program whose calls depend on each other in known ways: a sequence, a fan-out, independent branches, a
//! quorum, work after the answer, and a retry.
//!
//! The program's code in measure/src/bin/branches/patterns.rs is the truth. These tests fail if a `join!` replaces a sequence,
//! and if the quorum needs three answers instead of two.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use e2e::binaries::{Done, bin_dir, cctf, command};
use e2e::branches::{Branches, FRONT, ROUTES};
use e2e::child::Child;
use e2e::exclusive;
use e2e::rows::lines;
use serde_json::Value;

/// For each route, each call with the calls for which it waits, then the answer with those for which it waits. The second call
/// to a callee is marked with a 2.
const PATTERNS: [(&str, &[&str]); 7] = [
    ("/sequence", &["a; b after a; c after b; answer after c"]),
    ("/fan-out", &["a; b; c; answer after a b c"]),
    ("/independent", &["a; b after a; c; d after c; answer after b d"]),
    ("/inner-spans", &["a; b after a; c; d after c; answer after b d"]),
    (
        "/quorum",
        &["a; b; c; d after 2 of a b c; answer after d and 2 of a b c"],
    ),
    ("/after-answer", &["a; late b; answer after a"]),
    (
        "/retry",
        &[
            "a; a2 after a if a failed; b after a2; answer after b",
            "a; b after a; answer after b",
        ],
    ),
];

/// Number of requests to each route, all within a second. They are so many that each order that is due to chance is
/// contradicted at least once. The rarest contradiction is in the quorum: in one of seven requests, a certain call is still in
/// progress at the answer.
const REQUESTS: &str = "120";

#[test]
fn the_plan_of_a_program_has_its_dependences_and_no_others() {
    let logs = tempfile::tempdir().unwrap();
    {
        let _machine = exclusive::machine();
        record(logs.path());
    }
    let plan = logs.path().join("plan.jsonl");
    let [run, out] = [logs.path().join("r"), plan.clone()].map(|path| path.to_str().unwrap().to_owned());
    let done = cctf(&["plan", &run, "--out", &out]).unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");

    let mut found: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for root in lines(&plan).unwrap().iter().filter(|line| line["type"] == "root") {
        let front = &root["invocations"][0];
        assert_eq!(front["module"], FRONT, "{root}");
        let route = front["route"].as_str().unwrap().to_owned();
        found.entry(route).or_default().insert(dependences(front));
    }
    assert_eq!(PATTERNS.map(|(route, _)| route), ROUTES);
    let expected: BTreeMap<String, BTreeSet<String>> = PATTERNS
        .map(|(route, texts)| {
            let texts = texts.iter().map(|text| (*text).to_owned());
            (route.to_owned(), texts.collect())
        })
        .into();
    assert_eq!(found, expected);
}

/// Records the program as run `r` in the folder `logs`.
fn record(logs: &Path) {
    let bin_dir = bin_dir().unwrap();
    let normalizer = Child::normalizer(&bin_dir, logs, &["--join-window", "5s"]).unwrap();
    let otlp = normalizer.url("grpc").unwrap();
    let branches = Branches::start(&bin_dir, &otlp, |_, url| Ok(url.to_owned())).unwrap();
    let mut run = command("cctf").unwrap();
    run.args([
        "run",
        "--run-id",
        "r",
        "--format",
        "json",
        "--otlp-endpoint",
        &otlp,
    ])
    .args(["--target", &branches.url().unwrap()])
    .args(["--endpoints", &ROUTES.join(","), "--rate", REQUESTS])
    .args(["--duration", "1s", "--logs-dir"])
    .arg(logs);
    let report = Done::success("run", &mut run).unwrap().json().unwrap();
    for drive in report["drives"].as_array().unwrap() {
        assert_eq!(drive["success_ratio"], 1.0, "{report}");
    }
    branches.stop().unwrap();
    assert!(normalizer.stop().unwrap().status.success());
}

/// The waits of an invocation of the plan in the notation of [`PATTERNS`].
fn dependences(invocation: &Value) -> String {
    let calls = invocation["calls"].as_array().unwrap();
    let mut names: Vec<String> = Vec::new();
    for call in calls {
        let callee = call["to"].as_str().unwrap();
        let earlier = names.iter().filter(|name| name.starts_with(callee)).count();
        names.push(match earlier {
            0 => callee.to_owned(),
            earlier => format!("{callee}{}", earlier + 1),
        });
    }
    let named = |indices: &Value| {
        let indices = indices.as_array().into_iter().flatten();
        let mut named: Vec<&str> = indices
            .map(|index| names[index.as_u64().unwrap() as usize].as_str())
            .collect();
        named.sort_unstable();
        named.join(" ")
    };
    let waits = |of: &Value| {
        let after = named(&of["after"]);
        let any = match named(&of["any_of"]) {
            any if any.is_empty() => any,
            any => format!("{} of {any}", of["need"]),
        };
        match (after.is_empty(), any.is_empty()) {
            (true, true) => String::new(),
            (false, false) => format!(" after {after} and {any}"),
            _ => format!(" after {after}{any}"),
        }
    };
    let texts = calls.iter().zip(&names).map(|(call, name)| {
        let late = if call["after_answer"] == true { "late " } else { "" };
        let retry = call["retry_of"].as_u64();
        let retry = retry.map_or(String::new(), |attempt| {
            format!(" if {} failed", names[attempt as usize])
        });
        format!("{late}{name}{}{retry}", waits(call))
    });
    let mut texts: Vec<String> = texts.collect();
    texts.sort_by_key(|text| text.trim_start_matches("late ").to_owned());
    texts.push(format!("answer{}", waits(&invocation["answer"])));
    texts.join("; ")
}
