//! The wall clock is set back by an hour, once while the normalizer runs and once while it does not run.

use std::fs;

use cctf_normalizer::journal::read_kept;
use serde_json::json;
use tempfile::TempDir;

use super::clients::{Clients, Target, send};
use super::normalizer::{Launch, Normalizer, RUN, wait_until};
use super::requests::{http1, rows_in, traces};
use super::shim::{Clocks, variables};
use crate::support::random::Random;

const HOUR_SECONDS: i64 = 3600;

/// Sends a span whose caller never arrives, and waits until its row is written at the end of the join window.
fn a_window_closes(normalizer: &Normalizer, folder: &std::path::Path, random: &mut Random) -> String {
    let span_id = format!("{:016x}", random.next());
    let span = json!({
        "traceId": format!("{:032x}", random.next()), "spanId": span_id, "parentSpanId": "00000000000000ff",
        "name": "x", "kind": 2,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
    });
    let resource = json!({"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]});
    let request = http1(
        "/v1/traces",
        "",
        traces(resource, vec![span]).to_string().as_bytes(),
    );
    assert_eq!(send(normalizer.address("http"), &request), Some(200));
    let path = folder.join(RUN).join("cctf/invocations.jsonl");
    wait_until("the end of a join window", || {
        fs::read_to_string(&path).unwrap_or_default().contains(&span_id)
    });
    format!("invocation {span_id}")
}

/// This test fails when the journal's clock is the wall clock alone: the first window after it was set back does not end.
#[test]
fn a_clock_that_is_set_back_stops_no_window_and_no_timestamp() {
    let folder = TempDir::new().unwrap();
    let clocks = Clocks::new(folder.path());
    let logs = folder.path().join("logs");
    let launch = Launch::in_folder(&logs)
        .variables(variables(&[("KEEP_RAW", "true".to_owned())]))
        .variables(clocks.variables(1));
    let (mut random, mut orphans) = (Random(7), Vec::new());
    let target = Target::default();
    let mut normalizer = launch.start().unwrap();
    target.set(Some(normalizer.address("http")));
    let clients = Clients::start(&target, 2);
    for step in 0..4 {
        clients.go_on_for(10);
        orphans.push(a_window_closes(&normalizer, &logs, &mut random));
        clocks.move_wall(-HOUR_SECONDS);
        if step % 2 == 1 {
            normalizer.end(libc::SIGKILL);
            normalizer = launch.start().unwrap();
            target.set(Some(normalizer.address("http")));
        }
        orphans.push(a_window_closes(&normalizer, &logs, &mut random));
    }
    let acknowledged = clients.finish();
    normalizer.stop();

    let mut found = rows_in(&logs);
    for orphan in &orphans {
        assert_eq!(found.remove(orphan), Some(1), "{orphan} is there once");
    }
    let expected: Vec<String> = acknowledged
        .requests()
        .flat_map(|request| request.rows())
        .collect();
    assert_eq!(found.len(), expected.len());
    assert!(
        expected.iter().all(|row| found.get(row) == Some(&1)),
        "each row is there once"
    );
    let (mut last, mut back) = (0, 0);
    let read = read_kept(&logs.join(".journal").join(RUN), false, &mut |_, record| {
        back += u64::from(record.received_unix_ns < last);
        last = record.received_unix_ns;
    })
    .unwrap();
    assert_eq!(back, 0, "stamps go back");
    println!(
        "clock set back 4 times by an hour, 2 kills: {} records, {} rows: lost 0, doubled 0, torn 0",
        read.next_sequence,
        expected.len() + orphans.len()
    );
}
