//! `cctf convert` of the files that the real Collector writes equals the merged folder of a normalizer that received the same.
//!
//! [`data_set`]: a call graph of Alibaba through all commands. Needs SimGrid, which `make test` installs, too.
//! [`exporters`]: one application through the exporters of other formats. Needs the binaries of `make collector jaeger`, which
//! `make test` builds.

mod data_set;
mod exporters;

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, bin_dir, command};
use e2e::child::Child;
use e2e::collector::Collector;

use serde_json::Value;

use crate::merged::RUN;
use crate::merged::chain::{self, REQUESTS};

fn cctf(args: &[&str]) -> Done {
    Done::from(command("cctf").unwrap().args(args).output().unwrap())
}

/// The bytes of both files of requests.
fn requests(run: &Path) -> [String; 2] {
    ["invocations.jsonl", "calls.jsonl"].map(|name| fs::read_to_string(run.join("cctf").join(name)).unwrap())
}

#[test]
fn files_of_the_collector_become_the_merged_live_run() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let text = |name: &str| at(name).to_str().unwrap().to_owned();
    for name in ["collector", "files", "files/rotated"] {
        fs::create_dir(at(name)).unwrap();
    }
    let live = Child::normalizer(&bin_dir().unwrap(), &at("live"), &["--run-id", RUN]).unwrap();
    let port = live.address("grpc").unwrap().port();
    let mut collector = Collector::new(&at("collector"), port, &[("FILES", &text("files"))])
        .unwrap()
        .with_configuration("e2e/tests/all/converted/files.yaml");
    collector.start().unwrap();
    chain::drive(std::array::from_fn(|_| collector.url()));
    collector.stop().unwrap();
    let ended = live.stop().unwrap();
    assert!(ended.status.success(), "{}", ended.stderr);

    let merged = cctf(&["merge", &text("merged"), &text(&format!("live/{RUN}"))]);
    assert_eq!(merged.code, Some(0), "{merged:?}");
    let expected = requests(&at("merged"));
    assert_eq!(expected[0].lines().count(), 3 * REQUESTS);

    let zipped = Command::new("gzip")
        .arg("--keep")
        .arg(at("files/lines.json"))
        .status();
    assert!(zipped.unwrap().success());
    for (name, input) in [
        ("a", "lines.json"),
        ("b", "lines.json.gz"),
        ("c", "messages.bin"),
        ("d", "compressed-json.bin"),
        ("e", "compressed-messages.bin"),
        ("f", "rotated"),
    ] {
        let (input, out) = (text(&format!("files/{input}")), text(name));
        let converted = cctf(&["convert", &input, "--out", &out, "--run-id", RUN]);
        assert_eq!(converted.code, Some(0), "{converted:?}");
        assert_eq!(requests(&at(name)), expected, "{input}");
        let valid = cctf(&["validate", &out]);
        assert_eq!(valid.code, Some(0), "{valid:?}");
    }
}

/// A line with one SERVER span.
fn line(id: u64) -> String {
    format!(
        r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"key":"service.name","value":{{"stringValue":"front"}}}}]}},"scopeSpans":[{{"spans":[{{"traceId":"{id:032x}","spanId":"{id:016x}","kind":2,"name":"x","startTimeUnixNano":"1760000000000000000","endTimeUnixNano":"1760000000001000000"}}]}}]}}]}}"#
    )
}

#[test]
fn what_is_left_out_is_named_and_changes_the_exit_code() {
    let folder = tempfile::tempdir().unwrap();
    let text = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (good, bad) = (text("good.json"), text("bad.json"));
    fs::write(&good, format!("{}\n{}\n", line(1), line(2))).unwrap();
    fs::write(&bad, format!("{}\n{}\n{}\n", line(1), &line(2)[..90], line(3))).unwrap();

    let converted = cctf(&["convert", &bad, "--out", &text("bad")]);
    assert_eq!(converted.code, Some(1), "{converted:?}");
    assert!(
        converted.stderr.contains(&format!("{bad}, line 2 (byte ")),
        "{converted:?}"
    );
    assert!(converted.stdout.contains("invocations") && converted.stdout.contains("next: cctf stats "));

    let mut piped = command("cctf").unwrap();
    piped.args(["convert", "-", "--out", &text("piped"), "--summary", "json"]);
    let converted = Done::from(piped.stdin(File::open(&good).unwrap()).output().unwrap());
    assert_eq!((converted.code, converted.stderr.as_str()), (Some(0), ""));
    let summary: Value = serde_json::from_str(&converted.stdout).unwrap();
    assert_eq!(summary["runs"][0]["run_id"], "piped");
    assert_eq!(summary["runs"][0]["rows"]["invocations.jsonl"], 2);
    assert_eq!(
        (&summary["spans"], &summary["damages"]["count"]),
        (&Value::from(2), &Value::from(0))
    );

    for (input, out, reason) in [
        (good, "bad", "already exists"),
        (text("none"), "none", "cannot read"),
    ] {
        let refused = cctf(&["convert", &input, "--out", &text(out)]);
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains(reason), "{refused:?}");
    }
}
