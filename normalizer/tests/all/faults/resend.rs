//! A client that sends everything several times: at the same time on another connection, in requests of another form with both
//! duplicates in one request, and again after a crash.

use std::sync::Barrier;
use std::thread;

use serde_json::{Value, json};
use tempfile::TempDir;

use super::clients::send;
use super::normalizer::{Launch, Normalizer, duplicates};
use super::requests::{Request, check_rows, http1};

const REQUESTS: u64 = 64;
/// Number of duplicates of a request: the one sent at the same time, and two in the request of another form.
const COPIES: u64 = 3;

fn requests() -> impl Iterator<Item = Request> {
    (0..REQUESTS).map(|number| Request { client: 0, number })
}

/// One request with the rows of two requests, each row twice. The second half is in reverse order, and has its own scope and
/// resource.
fn packed_differently(first: Request, second: Request) -> Vec<u8> {
    let (lists, entries) = if first.is_metrics() {
        ("resourceMetrics", "scopeMetrics")
    } else {
        ("resourceSpans", "scopeSpans")
    };
    let mut resources = Vec::new();
    for request in [first, second] {
        let whole: Value = serde_json::from_str(&request.json()).unwrap();
        let resource = whole[lists][0].clone();
        let mut again = resource.clone();
        let rows = if request.is_metrics() {
            again.pointer_mut("/scopeMetrics/0/metrics/0/gauge/dataPoints")
        } else {
            again.pointer_mut("/scopeSpans/0/spans")
        };
        rows.unwrap().as_array_mut().unwrap().reverse();
        let scope = json!([resource[entries][0], again[entries][0]]);
        again[entries] = scope;
        resources.push(again);
    }
    http1(
        first.path(),
        "",
        json!({ lists: resources }).to_string().as_bytes(),
    )
}

/// Sends both copies at the same time, each on its own connection.
fn send_at_once(normalizer: &Normalizer, copies: [&[u8]; 2]) {
    let (address, together) = (normalizer.address("http"), Barrier::new(2));
    thread::scope(|scope| {
        for copy in copies {
            scope.spawn(|| {
                together.wait();
                assert_eq!(send(address, copy), Some(200));
            });
        }
    });
}

fn send_everything(normalizer: &Normalizer) {
    let all: Vec<Request> = requests().collect();
    for request in &all {
        send_at_once(normalizer, [&request.http1(), &request.http1()]);
    }
    let (metrics, traces): (Vec<Request>, Vec<Request>) =
        all.iter().partition(|request| request.is_metrics());
    for pair in [metrics, traces].iter().flat_map(|requests| requests.chunks(2)) {
        let other = pair.get(1).copied().unwrap_or(pair[0]);
        let packed = packed_differently(pair[0], other);
        assert_eq!(send(normalizer.address("http"), &packed), Some(200));
    }
}

/// This test fails when no span counts as a duplicate (`RecentSet::insert`), when no point does (`Pipeline::is_new_point`),
/// and, for data from before the kill, when recovery feeds no records.
#[test]
fn duplicates_give_one_row() {
    let folder = TempDir::new().unwrap();
    let launch = Launch::in_folder(folder.path());
    let normalizer = launch.start().unwrap();
    send_everything(&normalizer);
    normalizer.end(libc::SIGKILL);
    let normalizer = launch.start().unwrap();
    send_everything(&normalizer);
    normalizer.stop();
    let rows = check_rows(folder.path(), requests());
    let copies = 2 * (COPIES + 1) - 1;
    assert_eq!(
        duplicates(folder.path()),
        copies * rows as u64,
        "each copy was counted"
    );
    println!(
        "{REQUESTS} requests sent {} times: {rows} rows: lost 0, doubled 0, torn 0",
        copies + 1
    );
}
