//! The process is killed by kill -9 at random moments under load. The files must contain each acknowledged row once, and no
//! reader may see an incomplete line. The run continues in new parts all the time, and every second part is checked and deleted
//! as soon as it is closed.
//!
//! These tests fail without the protection. With `--durability none`, acknowledged rows are missing. If `Sink::resume` gets an
//! empty map instead of the checkpoint's lengths, files differ or have duplicates. If `Sink::is_superseded` is always false,
//! deleted parts come back.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cctf_proto::cctf::Part;
use rundir::validate::{Options, validate};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::process::{Process, command, try_http};
use crate::support::random::Random;

const KILLS: u64 = 20;
const CLIENTS: u64 = 3;
const SPANS_A_REQUEST: u64 = 8;
const GIVE_UP_AFTER: Duration = Duration::from_secs(180);

/// Starts the process. From then on, clients send to its port.
fn start(folder: &Path, port: &AtomicU16) -> Process {
    let mut command = command();
    command.args([
        "--run-id",
        "killed",
        "--join-window",
        "1s",
        "--dedup-window",
        "1h",
    ]);
    command.args(["--segment-bytes", "1MiB", "--roll-bytes", "40KiB"]);
    let process = Process::start(command.arg("--out-dir").arg(folder));
    let (_, listens_at) = process.address("http").rsplit_once(':').unwrap();
    port.store(listens_at.parse().unwrap(), Ordering::Relaxed);
    process
}

/// A request of new spans: CLIENT and SERVER alternate, and each CLIENT calls the SERVER after it.
fn request(client: u64, number: u64) -> String {
    let spans: Vec<Value> = (0..SPANS_A_REQUEST)
        .map(|at| {
            let is_server = at % 2 == 1;
            let id = |at: u64| format!("{:04x}{number:08x}{at:04x}", client + 1);
            json!({
                "traceId": format!("{:016x}{number:016x}", client + 1), "spanId": id(at),
                "parentSpanId": if is_server { id(at - 1) } else { String::new() },
                "name": "x", "kind": if is_server { 2 } else { 3 }, "flags": if is_server { 0x300 } else { 0x100 },
                "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000005000000",
            })
        })
        .collect();
    json!({"resourceSpans": [{
        "resource": {"attributes": [
            {"key": "service.name", "value": {"stringValue": "shop"}},
            {"key": "host.name", "value": {"stringValue": "n1"}},
        ]},
        "scopeSpans": [{"spans": spans}],
    }]})
    .to_string()
}

/// Sends a request. Returns whether it was acknowledged.
fn send(port: u16, body: &str) -> bool {
    let answer = try_http(
        &format!("127.0.0.1:{port}"),
        "POST /v1/traces",
        "json",
        body.as_bytes(),
    );
    answer.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200 "))
}

/// Sends requests one after the other and repeats each until it is acknowledged. Returns the number of requests.
fn client(client: u64, port: &AtomicU16, stop: &AtomicBool, acknowledged: &AtomicU64) -> u64 {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        let body = request(client, number);
        let since = Instant::now();
        while !send(port.load(Ordering::Relaxed), &body) {
            assert!(
                since.elapsed() < GIVE_UP_AFTER,
                "request {number} of client {client} was never acknowledged"
            );
            thread::sleep(Duration::from_millis(2));
        }
        number += 1;
        acknowledged.fetch_add(1, Ordering::Relaxed);
    }
    number
}

const TAILED: [&str; 2] = ["invocations.jsonl", "calls.jsonl"];

/// The content of a part's files as a reader that follows them has read it.
#[derive(Default)]
struct Tailed {
    files: [Option<File>; TAILED.len()],
    read: [Vec<u8>; TAILED.len()],
    is_deleted: bool,
}

impl Tailed {
    fn read_on(&mut self, part: &Path) {
        for (at, name) in TAILED.iter().enumerate() {
            if self.files[at].is_none() {
                self.files[at] = File::open(part.join("cctf").join(name)).ok();
            }
            if let Some(file) = &mut self.files[at] {
                file.read_to_end(&mut self.read[at]).unwrap();
            }
        }
    }
}

fn parts(logs: &Path) -> Vec<PathBuf> {
    let paths = fs::read_dir(logs).unwrap().map(|entry| entry.unwrap().path());
    // Parts are selected by name, because `latest` and its temporary name also lead to parts.
    let is_part = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let run_id = Part::parse(&name).map_or(&*name, |(run_id, _)| run_id);
        run_id == "killed" && path.join("cctf").is_dir()
    };
    paths.filter(is_part).collect()
}

fn number_of(part: &Path) -> u64 {
    let name = part.file_name().unwrap().to_string_lossy();
    Part::parse(&name).map_or(1, |(_, number)| number)
}

fn is_closed(part: &Path) -> bool {
    let meta = fs::read(part.join("cctf/run_meta.json")).unwrap_or_default();
    let meta: Value = serde_json::from_slice(&meta).unwrap_or_default();
    meta["ended_ts"].is_number()
}

fn check(part: &Path) {
    let report = validate(part, Options::default()).unwrap();
    let at = part.display();
    assert!(report.is_valid() && !report.open, "{at}: {:#?}", report.broken);
}

/// Follows the files of all parts. Checks and deletes parts with an odd number once they are closed.
fn tail(logs: &Path, stop: &AtomicBool) -> BTreeMap<PathBuf, Tailed> {
    let mut tailed: BTreeMap<PathBuf, Tailed> = BTreeMap::new();
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        for part in parts(logs) {
            let next = logs.join(Part::later("killed", number_of(&part) + 1).folder());
            let is_done = is_closed(&part) && next.is_dir();
            let of_part = tailed.entry(part.clone()).or_default();
            assert!(!of_part.is_deleted, "{} came back", part.display());
            of_part.read_on(&part);
            if is_done && number_of(&part) % 2 == 1 {
                check(&part);
                fs::remove_dir_all(&part).unwrap();
                of_part.is_deleted = true;
            }
        }
        if is_last {
            return tailed;
        }
        thread::sleep(Duration::from_millis(1));
    }
}

fn count_spans(text: &[u8], part: &Path, spans: &mut HashMap<String, u64>) {
    let text = std::str::from_utf8(text).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "the last line of a file in {} is whole",
        part.display()
    );
    for line in text.lines() {
        let row: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
        *spans
            .entry(row["span_id"].as_str().unwrap().to_owned())
            .or_default() += 1;
    }
}

#[test]
fn acknowledged_rows_are_in_the_files_once_after_any_kill() {
    let folder = TempDir::new().unwrap();
    let port = Arc::<AtomicU16>::default();
    let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut process = start(folder.path(), &port);
    let clients: Vec<_> = (0..CLIENTS)
        .map(|number| {
            let (port, stop) = (Arc::clone(&port), Arc::clone(&stop));
            let acknowledged = Arc::clone(&acknowledged);
            thread::spawn(move || client(number, &port, &stop, &acknowledged))
        })
        .collect();
    let stop_tail = Arc::new(AtomicBool::new(false));
    let tailing = {
        let (logs, stop) = (folder.path().to_owned(), Arc::clone(&stop_tail));
        thread::spawn(move || tail(&logs, &stop))
    };

    let mut random = Random(42);
    for kill in 0..KILLS {
        let target = acknowledged.load(Ordering::Relaxed) + random.next() % 40;
        let since = Instant::now();
        while acknowledged.load(Ordering::Relaxed) < target && since.elapsed() < GIVE_UP_AFTER {
            thread::sleep(Duration::from_micros(random.next() % 3000));
        }
        process.kill();
        println!(
            "kill {kill} after {} requests",
            acknowledged.load(Ordering::Relaxed)
        );
        process = start(folder.path(), &port);
    }
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<u64> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    process.stop();
    stop_tail.store(true, Ordering::Relaxed);
    let tailed = tailing.join().unwrap();
    let [mut invocations, mut calls] = [HashMap::new(), HashMap::new()];
    for (part, of_part) in &tailed {
        let [of_invocations, of_calls] = &of_part.read;
        count_spans(of_invocations, part, &mut invocations);
        count_spans(of_calls, part, &mut calls);
        assert_eq!(part.exists(), !of_part.is_deleted, "{}", part.display());
        for (name, read) in TAILED.iter().zip(&of_part.read).filter(|_| !of_part.is_deleted) {
            let content = fs::read(part.join("cctf").join(name)).unwrap();
            assert!(
                content == *read,
                "a tailing reader of {name} in {} has read the whole file, once",
                part.display()
            );
        }
        if !of_part.is_deleted {
            check(part);
        }
    }
    assert!(tailed.len() > 2, "the run has rolled on: {}", tailed.len());
    assert_eq!(
        fs::read_link(folder.path().join("latest")).unwrap(),
        Path::new(Part::later("killed", tailed.len() as u64).folder())
    );

    let mut expected = 0;
    for (client, &requests) in (0..).zip(&sent) {
        for number in 0..requests {
            for at in 0..SPANS_A_REQUEST {
                let id = format!("{:04x}{number:08x}{at:04x}", client + 1);
                let rows = if at % 2 == 1 { &invocations } else { &calls };
                assert_eq!(rows.get(&id), Some(&1), "span {id} is there once");
                expected += 1;
            }
        }
    }
    assert_eq!(invocations.len() + calls.len(), expected, "and nothing else");
    println!(
        "{expected} spans in {} requests and {} parts, {KILLS} kills: lost 0, doubled 0",
        sent.iter().sum::<u64>(),
        tailed.len()
    );
}
