//! Placement of services that do not report it. It is inferred from the telemetry of a real SDK, and recorded with `cctf
//! event`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{ChildStdout, Command, Stdio};

use e2e::binaries::{bin_dir, cctf, tool};
use e2e::child::{Child, wait_for};
use e2e::collector::Process;
use e2e::otlp::now_unix_ns;
use e2e::rows::{self, text};
use e2e::sources::root;
use serde_json::Value;

const PYTHON: &str = "exporters/python/bin/python";
/// Time without telemetry after which an instance counts as stopped. It is much longer than any pause of a process on a busy
/// machine.
const STALE_AFTER: &str = "20s";
/// Instances that start within this time belong to one deployment. An instance that starts later can be the target of a
/// migration.
const DEPLOYMENT_NS: u64 = 2_000_000_000;

/// A process of which only the telemetry is known.
struct Foreign {
    process: Process,
    spans: std::io::Lines<BufReader<ChildStdout>>,
}

/// Start and end of a span, nanoseconds.
type Times = (u64, u64);

impl Foreign {
    fn start(instance: &str, node: &str, receiver: &str) -> Self {
        let python = tool(PYTHON).unwrap();
        let resource =
            format!("service.namespace=shop,service.instance.id={instance},host.name={node},cctf.stage=edge");
        let mut process = Command::new(python)
            .arg(root().join("e2e/exporters/serve.py"))
            .arg(receiver)
            .env("OTEL_SERVICE_NAME", "front")
            .env("OTEL_RESOURCE_ATTRIBUTES", resource)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let spans = BufReader::new(process.stdout.take().unwrap()).lines();
        Self {
            process: Process(process),
            spans,
        }
    }

    /// Times of the next acknowledged span.
    fn next(&mut self) -> Option<Times> {
        let span: Value = serde_json::from_str(&self.spans.next()?.unwrap()).unwrap();
        Some((span["start"].as_u64().unwrap(), span["end"].as_u64().unwrap()))
    }

    /// Stops the process. Returns the times of its last span.
    fn end(mut self) -> Option<Times> {
        drop(self.process.0.stdin.take());
        let last = std::iter::from_fn(|| self.next()).last();
        let status = self.process.0.wait().unwrap();
        assert!(status.success(), "{status}");
        last
    }
}

/// Runs `cctf event` with these arguments. Returns the times before and after.
fn record_event(args: &[&str], receiver: &str) -> Times {
    let before = now_unix_ns();
    let done = cctf(&[&["event"], args, &["--otlp-endpoint", receiver]].concat()).unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    (before, now_unix_ns())
}

/// An event: time, kind, node, previous node, replicas, instance, whether it was inferred.
type Event = (
    u64,
    &'static str,
    &'static str,
    Option<&'static str>,
    Option<u64>,
    Option<&'static str>,
    bool,
);

fn same(line: &str, expected: &Event) -> bool {
    let row: Value = serde_json::from_str(line).unwrap();
    let &(ts, kind, node, from, replicas, instance, inferred) = expected;
    rows::nanoseconds(line, "ts").unwrap() == i128::from(ts)
        && text(&row, "module_id") == Some("front")
        && text(&row, "app_id") == Some("shop")
        && text(&row, "event") == Some(kind)
        && text(&row, "node_id") == Some(node)
        && text(&row, "from_node_id") == from
        && row.get("replicas").and_then(Value::as_u64) == replicas
        && text(&row, "instance_id") == instance
        && row["inferred"] == inferred
}

fn events(folder: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(folder.join("cctf/placement_events.jsonl")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

fn count(folder: &Path, what: &str) -> usize {
    events(folder).iter().filter(|line| line.contains(what)).count()
}

/// This test fails if a recorded event counts as an instance of its module.
#[test]
fn inferred_and_recorded_placement_events_stand_side_by_side() {
    let logs = tempfile::tempdir().unwrap();
    let flags = [
        "--run-id",
        "r",
        "--join-window",
        "1s",
        "--stale-after",
        STALE_AFTER,
    ];
    let normalizer = Child::normalizer(&bin_dir().unwrap(), logs.path(), &flags).unwrap();
    let receiver = normalizer.url("grpc").unwrap();
    let run = logs.path().join("r");

    let mut first = Foreign::start("front-1", "edge0", &receiver);
    let first_began = first.next().unwrap().0;
    while first.next().unwrap().1 < first_began + DEPLOYMENT_NS {}
    let mut second = Foreign::start("front-2", "edge1", &receiver);
    let second_began = second.next().unwrap().0;
    let of_module = ["--module", "front", "--app-id", "shop"];
    let scaled = record_event(
        &[
            &[
                "scale",
                "--replicas",
                "2",
                "--node",
                "edge1",
                "--reason",
                "a sale",
            ],
            &of_module[..],
        ]
        .concat(),
        &receiver,
    );
    let first_ended = first.end().unwrap().1;
    let migrated = record_event(
        &[&["migrate", "--from", "edge0", "--node", "edge1"], &of_module[..]].concat(),
        &receiver,
    );
    // This node reports no telemetry.
    let elsewhere = record_event(
        &[
            &[
                "migrate",
                "--from",
                "edge1",
                "--node",
                "edge2",
                "--stage",
                "cloud",
                "--instance",
                "front-3",
            ],
            &of_module[..],
        ]
        .concat(),
        &receiver,
    );
    wait_for("the silence of the first instance", || {
        Ok((count(&run, r#""event":"stop""#) > 0).then_some(()))
    })
    .unwrap();
    second.end();
    let ended = normalizer.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);

    let found = events(&run);
    let inferred: [Event; 6] = [
        (first_began, "start", "edge0", None, None, Some("front-1"), true),
        (second_began, "start", "edge1", None, None, Some("front-2"), true),
        (
            second_began,
            "scale",
            "edge1",
            None,
            Some(2),
            Some("front-2"),
            true,
        ),
        (first_ended, "stop", "edge0", None, None, Some("front-1"), true),
        (
            first_ended,
            "scale",
            "edge0",
            None,
            Some(1),
            Some("front-1"),
            true,
        ),
        (
            first_ended,
            "migrate",
            "edge1",
            Some("edge0"),
            None,
            Some("front-2"),
            true,
        ),
    ];
    let recorded = [
        (scaled, "scale", "edge1", None, Some(2), None, "edge"),
        (migrated, "migrate", "edge1", Some("edge0"), None, None, "edge"),
        (
            elsewhere,
            "migrate",
            "edge2",
            Some("edge1"),
            None,
            Some("front-3"),
            "cloud",
        ),
    ];
    for expected in &inferred {
        let times = found.iter().filter(|line| same(line, expected)).count();
        assert_eq!(times, 1, "{expected:?} in {found:#?}");
    }
    for ((before, after), kind, node, from, replicas, instance, stage) in recorded {
        let of_it = found.iter().filter(|line| {
            let at = rows::nanoseconds(line, "ts").unwrap();
            u64::try_from(at).is_ok_and(|at| {
                (before..=after).contains(&at)
                    && line.contains(&format!(r#""stage":"{stage}""#))
                    && same(line, &(at, kind, node, from, replicas, instance, false))
            })
        });
        assert_eq!(
            of_it.count(),
            1,
            "{kind} recorded between {before} and {after} in {found:#?}"
        );
    }
    assert_eq!(
        found.len(),
        inferred.len() + recorded.len(),
        "and none else: {found:#?}"
    );

    let modules = rows::document(&run.join("cctf/module_inventory.json")).unwrap();
    let instances: Vec<_> = modules[0]["instances"]
        .as_array()
        .unwrap()
        .iter()
        .map(|instance| text(instance, "instance_id").unwrap())
        .collect();
    assert_eq!(instances, ["front-1", "front-2", "front-3"], "{modules}");
    assert_eq!(modules.as_array().unwrap().len(), 1, "{modules}");
    let checked = cctf(&["validate", &run.display().to_string()]).unwrap();
    assert_eq!(checked.code, Some(0), "{checked:?}");

    let merged = logs.path().join("merged");
    let done = cctf(&["merge", &merged.display().to_string(), &run.display().to_string()]).unwrap();
    assert_eq!(done.code, Some(0), "{done:?}");
    let sorted = |mut lines: Vec<String>| {
        lines.sort();
        lines
    };
    assert_eq!(sorted(events(&merged)), sorted(found), "a merge keeps them");
}
