//! `cctf export otlp`: `cctf convert` of it gives the run again, from the file and from what the real Collector has received.

use std::fs;
use std::path::Path;

use e2e::binaries::cctf;
use e2e::collector::Collector;
use serde_json::Value;

use super::Exported;
use crate::chain;

/// The rows that come back: invocations, calls and reported placement events, each sorted.
fn rows(run: &Path) -> [Vec<String>; 3] {
    ["invocations.jsonl", "calls.jsonl", "placement_events.jsonl"].map(|name| {
        let text = fs::read_to_string(run.join("cctf").join(name)).unwrap();
        let lines = text.lines().filter(|line| !line.contains("\"inferred\":true"));
        let mut lines: Vec<String> = lines.map(str::to_owned).collect();
        lines.sort_unstable();
        lines
    })
}

fn command(args: &[&str]) -> String {
    let done = cctf(args).unwrap();
    assert_eq!(done.code, Some(0), "{args:?}: {}\n{}", done.stdout, done.stderr);
    done.stdout
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

/// Exports a run, converts the export, and compares with the run as a merge writes it.
pub fn check(run: &Path) {
    let exported = Exported::new("otlp", run, &["--strict"]);
    let (merged, again) = (exported.path("../merged"), exported.path("../again"));
    command(&["merge", text(&merged), text(run)]);
    command(&[
        "convert",
        text(&exported.path("traces.jsonl")),
        "--out",
        text(&again),
    ]);
    let [expected, found] = [&merged, &again].map(|run| rows(run));
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.len(), expected.len());
        for (found, expected) in found.iter().zip(expected) {
            assert_eq!(found, expected);
        }
    }
    let counts = [exported.count("invocations"), exported.count("calls")];
    assert_eq!(counts, [expected[0].len() as u64, expected[1].len() as u64]);
    command(&["validate", text(&again)]);
}

#[test]
fn the_chain_comes_back_from_its_telemetry() {
    let run = chain::run_folder();
    check(&run);
    assert!(rows(&run)[2].len() >= 3, "each instance reports its start");
}

#[test]
fn the_real_collector_takes_a_run_over_both_protocols() {
    let run = chain::run_folder();
    let folder = tempfile::tempdir().unwrap();
    let merged = folder.path().join("merged");
    command(&["merge", text(&merged), text(&run)]);
    for (protocol, is_http) in [("grpc", false), ("http/protobuf", true)] {
        let folder = tempfile::tempdir().unwrap();
        let files = folder.path().to_str().unwrap();
        let mut collector = Collector::new(folder.path(), 0, &[("FILES", files)])
            .unwrap()
            .with_configuration("e2e/tests/all/exports/otlp.yaml");
        collector.start().unwrap();
        let url = if is_http {
            collector.http_url()
        } else {
            collector.url()
        };
        let flags = [
            "--otlp-endpoint",
            &url,
            "--otlp-protocol",
            protocol,
            "--format",
            "json",
        ];
        let args: Vec<&str> = ["export", "otlp", text(&run)].into_iter().chain(flags).collect();
        let sent: Value = serde_json::from_str(&command(&args)).unwrap();
        collector.stop().unwrap();
        assert_eq!(
            (&sent["rejected"], sent["spans"].as_u64() > Some(400)),
            (&Value::from(0), true),
            "{sent}"
        );

        let again = folder.path().join("again");
        let received = folder.path().join("received.json");
        command(&["convert", text(&received), "--out", text(&again)]);
        assert_eq!(rows(&again), rows(&merged), "{protocol}");
    }
}

#[test]
fn a_receiver_that_is_not_there_and_missing_flags_are_refused() {
    let run = chain::run_folder();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    for (args, code, reason) in [
        (
            &["--otlp-protocol", "grpc", "--out", text(&out)][..],
            2,
            "requires --otlp-endpoint",
        ),
        (&[], 2, "--otlp-endpoint"),
        (&["--otlp-endpoint", "nowhere"], 2, "it has no scheme"),
        (&["--run-id", "../x", "--out", text(&out)], 2, "invalid run id"),
    ] {
        let args: Vec<&str> = ["export", "otlp", text(&run)]
            .into_iter()
            .chain(args.iter().copied())
            .collect();
        let done = cctf(&args).unwrap();
        assert_eq!(done.code, Some(code), "{args:?}: {}", done.stderr);
        assert!(done.stderr.contains(reason), "{args:?}: {}", done.stderr);
        assert!(!out.exists());
    }
}
