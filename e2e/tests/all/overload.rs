//! The load is twice the capacity of a service. The queue becomes full, further requests get 503 with Retry-After, and nothing
//! else fails.

use std::collections::BTreeMap;

use e2e::binaries::{Done, LONG_WINDOW, bin_dir, cctf, command};
use e2e::child::{Child, wait_for};
use e2e::exclusive;
use e2e::http;
use e2e::rows::{self, number};

/// Work with which a slot serves 200 requests a second.
const WORK: &str = "/work?cpu_ms=5";
const RATE: &str = "400";

#[test]
fn a_full_queue_answers_503_with_retry_after_and_every_answer_is_a_row() {
    let _machine = exclusive::machine();
    let logs = tempfile::tempdir().unwrap();
    let bins = bin_dir().unwrap();
    let normalizer = Child::normalizer(
        &bins,
        logs.path(),
        &["--run-id", "r", "--join-window", LONG_WINDOW],
    )
    .unwrap();
    let otlp = normalizer.url("grpc").unwrap();
    let variables = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", otlp.as_str()),
        ("WORKERS", "1"),
        ("QUEUE_LIMIT", "8"),
    ];
    let service = Child::service(
        &bins,
        &[&variables[..], &[("NODE_ID", "n1"), ("STAGE", "edge")]].concat(),
    )
    .unwrap();
    let (address, admin) = (
        service.address("listening").unwrap(),
        service.address("admin").unwrap(),
    );

    let mut load = command("cctf").unwrap();
    load.args([
        "load",
        "--endpoint",
        WORK,
        "--rate",
        RATE,
        "--duration",
        "2s",
        "--run-id",
        "r",
        "--format",
        "json",
    ]);
    load.args([
        "--target",
        &service.url("listening").unwrap(),
        "--otlp-endpoint",
        &otlp,
    ]);
    let load = std::thread::spawn(move || Done::from(load.output().unwrap()));
    let mut probes = 0;
    let refused = wait_for("a full queue", || {
        probes += 1;
        let answer = http::send(address, "GET", WORK, &[], b"")?;
        Ok((answer.status == 503).then_some(answer))
    });
    let refused = refused.unwrap();
    let seconds: u32 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!(seconds > 0);
    let load = load.join().unwrap();
    assert_eq!(load.code, Some(0), "{load:?}");
    let statuses: BTreeMap<String, u64> =
        serde_json::from_value(load.json().unwrap()["statuses"].clone()).unwrap();
    assert_eq!(
        statuses.keys().collect::<Vec<_>>(),
        ["200", "503"],
        "other statuses: {statuses:?}"
    );

    assert_eq!(http::send(admin, "GET", "/readyz", &[], b"").unwrap().status, 200);
    let after = wait_for("room in the queue", || {
        probes += 1;
        let answer = http::send(address, "GET", WORK, &[], b"")?;
        Ok((answer.status == 200).then_some(answer))
    });
    assert_eq!(after.unwrap().status, 200, "it serves as before");
    let sent = statuses.values().sum::<u64>() + probes;
    assert!(service.stop().unwrap().status.success());
    assert!(normalizer.stop().unwrap().status.success());

    let folder = logs.path().join("r");
    let invocations = rows::lines(&folder.join("cctf/invocations.jsonl")).unwrap();
    assert_eq!(
        invocations.len() as u64,
        sent,
        "each request is a row, refused or served"
    );
    let refused = invocations
        .iter()
        .filter(|row| number(row, "status") == Some(503.0))
        .count() as u64;
    assert!(
        refused >= statuses["503"] && refused < sent,
        "{refused} of {sent}, {statuses:?}"
    );
    let checked = cctf(&["validate".as_ref(), folder.as_os_str()]).unwrap();
    assert_eq!(checked.code, Some(0), "{}", checked.stdout);
}
