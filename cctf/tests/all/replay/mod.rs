//! `cctf replay` of runs that the tests write, against services and a collector in the test. [`bad_input`] has runs that are
//! refused, [`notes`] the notes of the preview, and [`stand_ins`] replays to stand-ins.

mod bad_input;
mod notes;
mod stand_ins;
mod wide;

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use cctf_proto::keys;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use serde_json::Value as Json;

use crate::servers::{Answers, Servers};
use crate::{cctf, stderr};

/// A recorded call of the load driver. It starts 10 ms after the previous one.
struct Call {
    method: &'static str,
    path: &'static str,
    module: &'static str,
    bytes_out: u64,
    status: u16,
    more: &'static str,
}

const JSON: Call = Call {
    method: "POST",
    path: "/json/validate",
    module: "front",
    bytes_out: 100,
    status: 200,
    more: "",
};
const CHECKOUT: Call = Call {
    path: "/checkout",
    module: "cart",
    ..JSON
};

/// Writes the run `first` into `logs`. Its calls have the span ids 1, 2 and so on.
fn record(logs: &Path, calls: &[Call], ended: &str) -> String {
    let folder = logs.join("first/cctf");
    fs::create_dir_all(&folder).unwrap();
    let mut lines = String::new();
    for (call, number) in calls.iter().zip(1..) {
        let start = 1_760_000_000_000_u64 + 10 * number;
        let Call {
            method,
            path,
            module,
            bytes_out,
            status,
            more,
        } = call;
        writeln!(
            lines,
            r#"{{"trace_id":"{number:032x}","span_id":"{number:016x}","parent_span_id":null,"ancestor_id":null,"module_id":"cctf-load","instance_id":"l","node":"n","stage":"edge","ts_start":{start}.000000,"ts_end":{start}.500000,"method":"{method}","path":"{path}","bytes_out":{bytes_out},"bytes_in":2,"status":{status},"kind":"client","protocol":"http","peer":"h:1","peer_module":"{module}"{more}}}"#
        )
        .unwrap();
    }
    fs::write(folder.join("calls.jsonl"), lines).unwrap();
    fs::write(folder.join("invocations.jsonl"), "").unwrap();
    fs::write(folder.join("module_inventory.json"), "[]").unwrap();
    fs::write(folder.join("run_meta.json"), meta("first", ended)).unwrap();
    logs.join("first").to_str().unwrap().to_owned()
}

/// The run_meta.json of a run.
pub fn meta(run_id: &str, ended: &str) -> String {
    format!(
        r#"{{"run_id":"{run_id}","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"seed":7,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.000000,"ended_ts":{ended},"time_base":"unix_utc","counts":{{"spans":0,"points":0,"logs":0,"rows":{{}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#
    )
}

pub const ENDED: &str = "1760000001000.000000";

fn replay(run: &str, servers: &Servers, more: &[&str]) -> Output {
    cctf(&["replay", run, "--run-id", "again", "--format", "json"])
        .args(["--otlp-endpoint", &format!("http://{}", servers.collector)])
        .args(more)
        .output()
        .unwrap()
}

fn url(servers: &Servers) -> String {
    format!("http://{}", servers.service)
}

fn json(output: &Output) -> Json {
    assert_eq!(output.status.code(), Some(0), "{}", stderr(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn attribute(span: &Span, key: &str) -> Option<Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.clone()
}

fn text(value: &str) -> Option<Value> {
    Some(Value::StringValue(value.to_owned()))
}

#[test]
fn each_module_s_requests_reach_its_target_and_name_their_originals() {
    let logs = tempfile::tempdir().unwrap();
    let run = record(logs.path(), &[JSON, CHECKOUT, JSON], ENDED);
    let (front, cart) = (
        Servers::start(Answers::Accept, None),
        Servers::start(Answers::Accept, None),
    );
    let front_target = format!("front={}", url(&front));
    let cart_target = format!("cart={}", url(&cart));
    let output = replay(
        &run,
        &front,
        &[
            "--target",
            &front_target,
            "--target",
            &cart_target,
            "--speed",
            "2",
        ],
    );
    let report = json(&output);
    assert_eq!(report["preview"]["requests"], 3);
    assert_eq!(
        report["preview"]["filler"], 1,
        "the content of /checkout is unknown"
    );
    assert_eq!(report["statuses"]["200"], 3);
    let paths = |servers: &Servers| -> Vec<(String, String, usize)> {
        let seen = servers.seen().into_iter();
        seen.map(|request| (request.method, request.path, request.body.len()))
            .collect()
    };
    let post = |path: &str| ("POST".to_owned(), path.to_owned(), 100);
    assert_eq!(paths(&front), [post("/json/validate"), post("/json/validate")]);
    assert_eq!(paths(&cart), [post("/checkout")]);
    assert!(serde_json::from_slice::<Json>(&front.seen()[0].body).is_ok());

    let (control, mut requests): (Vec<_>, Vec<_>) = front
        .spans()
        .into_iter()
        .partition(|(scope, _)| scope == keys::CONTROL_SCOPE);
    let start = &control
        .iter()
        .find(|(_, span)| span.name == keys::RUN_START_SPAN)
        .unwrap()
        .1;
    assert_eq!(attribute(start, keys::RUN_REPLAY_OF), text("first"));
    assert_eq!(
        attribute(start, keys::RUN_REPLAY_SPEED),
        Some(Value::DoubleValue(2.0))
    );
    assert_eq!(
        attribute(start, keys::RUN_SEED),
        Some(Value::IntValue(7)),
        "the recorded seed"
    );
    requests.sort_by_key(|(_, span)| span.start_time_unix_nano);
    assert_eq!(requests.len(), 3);
    for ((_, span), number) in requests.iter().zip(1..) {
        assert_eq!(
            attribute(span, keys::REPLAY_OF_TRACE_ID),
            text(&format!("{number:032x}"))
        );
        assert_eq!(
            attribute(span, keys::REPLAY_OF_SPAN_ID),
            text(&format!("{number:016x}"))
        );
        assert!(matches!(
            attribute(span, keys::LATENESS_NS),
            Some(Value::IntValue(0..))
        ));
    }
}

#[test]
fn the_same_seed_sends_the_same_bytes_and_templates_fill_them() {
    let logs = tempfile::tempdir().unwrap();
    let run = record(logs.path(), &[CHECKOUT, JSON], ENDED);
    let bodies = logs.path().join("bodies.toml");
    let template =
        "[[template]]\nroute = \"/checkout\"\nbody = '''{\"n\":{{random}},\"pad\":\"{{pad}}\"}'''\n";
    fs::write(&bodies, template).unwrap();
    let sent = |seed: &str| {
        let servers = Servers::start(Answers::Accept, None);
        let target = url(&servers);
        let flags = [
            "--target",
            &target,
            "--bodies",
            bodies.to_str().unwrap(),
            "--seed",
            seed,
            "--strict",
        ];
        assert_eq!(json(&replay(&run, &servers, &flags))["preview"]["filler"], 0);
        let mut seen = servers.seen();
        seen.sort_by(|left, right| left.path.cmp(&right.path));
        seen
    };
    let (first, again, other) = (sent("1"), sent("1"), sent("2"));
    assert_eq!(first[0].content_type, "application/json");
    for ((first, again), other) in first.iter().zip(&again).zip(&other) {
        assert_eq!(first.body, again.body);
        assert_ne!(first.body, other.body);
        assert_eq!(first.body.len(), 100);
        assert!(serde_json::from_slice::<Json>(&first.body).is_ok());
    }
}

#[test]
fn window_limit_and_scale_choose_the_requests_of_a_dry_run() {
    let logs = tempfile::tempdir().unwrap();
    let run = record(logs.path(), &[JSON, JSON, JSON, CHECKOUT], ENDED);
    let servers = Servers::start(Answers::Accept, None);
    for (flags, requests) in [
        (&[][..], 4),
        (&["--from", "10ms"], 3),
        (&["--from", "10ms", "--to", "30ms"], 2),
        (&["--limit", "1"], 1),
        (&["--scale", "2", "--by", "overlap"], 8),
        (&["--scale", "2", "--by", "squeeze"], 4),
    ] {
        let plan = json(&replay(&run, &servers, &[flags, &["--dry-run"]].concat()));
        assert_eq!(plan["requests"], requests, "{flags:?}");
    }
    let limited = json(&replay(&run, &servers, &["--limit", "2", "--dry-run"]));
    assert_eq!(
        (&limited["length_s"], &limited["rate"]),
        (&0.02.into(), &100.0.into())
    );
    let one = json(&replay(&run, &servers, &["--limit", "1", "--dry-run"]));
    assert_eq!(one["rate"], 0.0, "one request has no rate");
    assert!(servers.seen().is_empty() && servers.spans().is_empty());
}

#[test]
fn orphans_and_an_unfinished_run_are_sent_on_request() {
    let servers = Servers::start(Answers::Accept, None);
    let target = url(&servers);
    let logs = tempfile::tempdir().unwrap();
    let orphan = Call {
        more: r#","flags":["orphan"]"#,
        ..JSON
    };
    let run = record(logs.path(), &[JSON, orphan], "null");
    let flags = ["--target", &target, "--unfinished"];
    let dropped = json(&replay(&run, &servers, &flags));
    assert_eq!(
        (
            &dropped["preview"]["requests"],
            &dropped["preview"]["not_sent"]["orphans"]
        ),
        (&1.into(), &1.into())
    );
    let sent = json(&replay(
        &run,
        &servers,
        &[&flags[..], &["--orphans", "root"]].concat(),
    ));
    assert_eq!(sent["preview"]["requests"], 2);
    assert_eq!(servers.seen().len(), 3);
}

#[test]
fn statuses_other_than_the_recorded_ones_are_counted() {
    let servers = Servers::start(Answers::Accept, None);
    let target = url(&servers);
    let logs = tempfile::tempdir().unwrap();
    let failed = Call { status: 503, ..JSON };
    let run = record(logs.path(), &[JSON, failed], ENDED);
    let report = json(&replay(&run, &servers, &["--target", &target]));
    assert_eq!(
        (&report["changes"]["compared"], &report["changes"]["changed"]),
        (&2.into(), &1.into())
    );
    assert_eq!(
        report["preview"]["statuses"],
        serde_json::json!({"200": 1, "503": 1})
    );
}

#[test]
fn what_is_not_sent_is_in_no_figure_of_the_plan() {
    let servers = Servers::start(Answers::Accept, None);
    let logs = tempfile::tempdir().unwrap();
    let large = Call {
        bytes_out: 1 << 40,
        ..JSON
    };
    let run = record(logs.path(), &[JSON, large], ENDED);
    let plan = json(&replay(&run, &servers, &["--dry-run"]));
    assert_eq!(plan["requests"], 1);
    assert_eq!(plan["statuses"], serde_json::json!({"200": 1}));
    assert_eq!(plan["endpoints"][0]["requests"], 1);
    assert_eq!(plan["endpoints"][0]["body_bytes"], serde_json::json!([100, 100]));
    assert_eq!(plan["not_sent"]["with a larger body than 64 MiB"], 1);
}

#[test]
fn a_row_with_a_wrong_clock_is_named_as_the_cause_of_a_long_replay() {
    let servers = Servers::start(Answers::Accept, None);
    let logs = tempfile::tempdir().unwrap();
    let run = record(logs.path(), &[JSON, JSON], ENDED);
    let notes = || json(&replay(&run, &servers, &["--dry-run"]))["notes"].to_string();
    assert!(!notes().contains("days"));
    let calls = Path::new(&run).join("cctf/calls.jsonl");
    let text = fs::read_to_string(&calls).unwrap();
    fs::write(&calls, text.replace("1760000000020.", "1770000000020.")).unwrap();
    assert!(notes().contains("days: check the times"), "{}", notes());
}

#[test]
fn requests_that_were_not_sent_are_a_failure() {
    let servers = Servers::start(Answers::Accept, None);
    let logs = tempfile::tempdir().unwrap();
    let calls: Vec<Call> = (0..20).map(|_| JSON).collect();
    let run = record(logs.path(), &calls, ENDED);
    // The kernel completes handshakes, but nothing answers. So the only connection is never free.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}", silent.local_addr().unwrap());
    let flags = ["--target", &target, "--connections", "1", "--timeout", "50ms"];
    let output = replay(&run, &servers, &flags);
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let unsent = report["unsent"].as_u64().unwrap();
    assert!(unsent > 0, "{report}");
    assert!(
        error.contains(&format!("{unsent} of 20 requests were not sent")),
        "{error}"
    );
}

#[test]
fn an_interrupt_stops_the_replay_and_the_run_ends() {
    let servers = Servers::start(Answers::Accept, None);
    let target = url(&servers);
    let logs = tempfile::tempdir().unwrap();
    // The requests take a minute.
    let calls: Vec<Call> = (0..6_000).map(|_| JSON).collect();
    let run = record(logs.path(), &calls, ENDED);
    let child = cctf(&[
        "replay", &run, "--run-id", "again", "--format", "json", "--target", &target,
    ])
    .args(["--otlp-endpoint", &format!("http://{}", servers.collector)])
    .stdout(Stdio::piped())
    .stderr(Stdio::piped())
    .spawn()
    .unwrap();
    while servers.seen().is_empty() {
        std::thread::sleep(Duration::from_millis(5));
    }
    let id = child.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let output = child.wait_with_output().unwrap();
    let error = stderr(&output);
    assert_eq!(output.status.code(), Some(1), "{error}");
    let report: Json = serde_json::from_slice(&output.stdout).unwrap();
    let requests = report["requests"].as_u64().unwrap();
    assert!(requests < 6_000 && report["interrupted"] == true, "{report}");
    assert!(
        error.contains(&format!("interrupted after {requests} of 6000 requests")),
        "{error}"
    );
    let spans = servers.spans();
    let mut ends = spans.iter().filter(|(_, span)| span.name == keys::RUN_END_SPAN);
    let (_, end) = ends.next().unwrap();
    assert!(ends.next().is_none());
    // There is a request every 10 ms, so the window of sent requests ends just after the last of them.
    let to_ns = i64::try_from(requests - 1).unwrap() * 10_000_000 + 1;
    assert_eq!(
        attribute(end, keys::RUN_REPLAY_TO_NS),
        Some(Value::IntValue(to_ns))
    );
}
