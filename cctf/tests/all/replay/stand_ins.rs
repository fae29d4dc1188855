//! `cctf replay --stand-in`, against stand-ins in the test, which answer but execute nothing.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};
use std::thread;

use serde_json::{Value, json};

use super::{ENDED, meta};
use crate::stats::{Logs, row};
use crate::{cctf, stderr};

/// Maximum number of headers of a request in these tests.
const HEADERS_MAX: usize = 30;

/// Bodies of planned requests.
pub type Bodies = Arc<Mutex<Vec<Vec<u8>>>>;

/// A server that describes itself, and answers all other requests with 200. It runs until the test's process ends.
pub struct Fake {
    pub url: String,
    pub bodies: Bodies,
}

impl Fake {
    pub fn start(probe: Value) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bodies = Bodies::default();
        let kept = Arc::clone(&bodies);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (probe, kept) = (probe.to_string(), Arc::clone(&kept));
                thread::spawn(move || serve(stream, &probe, &kept));
            }
        });
        Self { url, bodies }
    }
}

/// Serves one connection.
fn serve(stream: TcpStream, probe: &str, bodies: &Bodies) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
            if line == "\r\n" || head.len() > HEADERS_MAX {
                break;
            }
            head.push(line.trim_end().to_lowercase());
        }
        let length = head.iter().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).ok()?;
        let is_planned = head.iter().any(|line| line == "x-cctf-plan: 1");
        let answer = if head[0].starts_with("get /stand-in ") {
            probe
        } else {
            "ok"
        };
        if is_planned {
            bodies.lock().unwrap().push(body);
        }
        let length = answer.len();
        write!(
            writer,
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{answer}"
        )
        .ok()?;
    }
}

fn description(slots: Option<u32>, mips: Option<f64>) -> Value {
    json!({"stand_in": 1, "module": "front", "instance": "i", "slots": slots, "slot_policy": "held", "mips_per_core": mips})
}

/// Runs `cctf replay r --stand-in FILE` in the folder of all runs. The file contains one stand-in for front.
fn replay(logs: &Logs, url: &str, more: &[&str]) -> Output {
    let file = json!({"version": 1, "instances": [{"module": "front", "instance": "i", "url": url}]});
    fs::write(logs.path().join("stand-ins.json"), file.to_string()).unwrap();
    cctf(&["replay", "r", "--logs-dir", ".", "--stand-in", "stand-ins.json"])
        .args(more)
        .current_dir(logs.path())
        .output()
        .unwrap()
}

/// The run `r` with these invocations. It has ended.
pub fn recorded(invocations: &str) -> Logs {
    let logs = Logs::with(invocations);
    logs.write("r", "run_meta.json", &meta("r", ENDED));
    logs
}

/// Requests at intervals of one second. Each has one invocation.
fn rows(count: u64) -> String {
    (0..count).map(|second| row(second, "front", 200)).collect()
}

/// Rows of a module that calls itself: the second invocation is within the first one.
fn own_call() -> String {
    let outer = row(5, "front", 200);
    let inner = outer
        .replace(
            &format!("\"span_id\":\"{:016x}\"", 5),
            &format!("\"span_id\":\"{:016x}\"", 6),
        )
        .replace(
            "\"parent_id\":null,\"parent_span_id\":null",
            &format!("\"parent_id\":\"{0:016x}\",\"parent_span_id\":\"{0:016x}\"", 5),
        );
    outer + &inner
}

#[test]
fn each_root_is_sent_with_its_plan_after_the_self_check_is_printed() {
    let logs = recorded(&rows(3));
    let fake = Fake::start(description(Some(2), None));
    let done = replay(&logs, &fake.url, &["--speed", "1000"]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{}{text}", stderr(&done));
    let place = |words: &str| text.find(words).unwrap_or_else(|| panic!("{words}: {text}"));
    let self_check = place("3 of 3 responses come out within 1 us");
    assert!(self_check < place("replay of r") && place("replay of r") < place("statuses   200: 3"));
    place("3 of the 3 request bodies are larger than recorded");
    let bodies = fake.bodies.lock().unwrap();
    assert_eq!(bodies.len(), 3);
    for body in bodies.iter() {
        let work = standin::decode(body).unwrap();
        assert_eq!((work.method, work.route), (Some("GET"), Some("/a,\"b\"")));
        assert_eq!(work.answer.gap_ns, 3_500_000);
    }
}

#[test]
fn a_dry_run_asks_no_stand_in_and_reports_the_plan_as_json() {
    let logs = recorded(&rows(3));
    let done = replay(
        &logs,
        "http://127.0.0.1:9",
        &["--dry-run", "--format", "json", "--limit", "2"],
    );
    let preview: Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(
        (&preview["requests"], &preview["stand_in"]["bodies"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(preview["stand_in"]["plan"]["counts"]["roots"], 3);
    assert_eq!(preview["endpoints"][0]["target"], "http://127.0.0.1:9");
    // The self-check must use the roots of the window, as the preview does. This test failed before the fix: the self-check
    // also used the roots of the following ten seconds.
    for (window, roots) in [(["--to", "2s"], 2), (["--from", "1s"], 2), (["--to", "1s"], 1)] {
        let flags = [&["--dry-run", "--format", "json"][..], &window].concat();
        let done = replay(&logs, "http://127.0.0.1:9", &flags);
        let preview: Value = serde_json::from_slice(&done.stdout).unwrap();
        let counts = &preview["stand_in"]["plan"]["counts"];
        assert_eq!(
            (&preview["requests"], &counts["roots"]),
            (&json!(roots), &json!(roots))
        );
    }
}

/// Each error is one sentence, before the first planned request.
#[test]
fn stand_ins_that_cannot_execute_the_run_are_refused() {
    let good = Fake::start(description(Some(1), None));
    let other = Fake::start(
        json!({"stand_in": 1, "module": "x", "instance": "y", "slots": 1, "slot_policy": "held"}),
    );
    let ordinary = Fake::start(json!("ok"));
    let plain = || recorded(&rows(3));
    let elsewhere = recorded(&rows(3).replace("\"front\"", "\"cart\""));
    let empty = recorded("");
    for (logs, url, flags, code, part) in [
        (
            plain(),
            &*other.url,
            &[][..],
            1,
            "it stands in for \"y of x\"; correct the stand-ins file",
        ),
        (
            plain(),
            &ordinary.url,
            &[],
            1,
            "it is no stand-in; start it with --stand-in FILE",
        ),
        (
            plain(),
            "http://127.0.0.1:9",
            &[],
            1,
            "cannot reach the stand-in of module \"front\": ",
        ),
        (
            plain(),
            "https://h",
            &[],
            2,
            "invalid url \"https://h\": use http://HOST:PORT",
        ),
        (
            elsewhere,
            &good.url,
            &[],
            2,
            "no stand-in for module \"cart\"; add one for each",
        ),
        (
            plain(),
            &good.url,
            &["--keep", "work"],
            2,
            "no mips_per_core of its node \"n\"; use --keep time",
        ),
        (
            recorded(&own_call()),
            &good.url,
            &[],
            1,
            "needs 2 slots of one stand-in of module \"front\" at the same time (front -> front), and it has 1 slot;",
        ),
        (empty, &good.url, &[], 1, "no invocations"),
    ] {
        let done = replay(&logs, url, flags);
        let error = stderr(&done);
        assert_eq!(done.status.code(), Some(code), "{part}: {error}");
        assert!(error.contains(part), "{part}: {error}");
        // The self-check of these rows has a warning.
        let is_warning = |line: &&str| line.starts_with("cctf: simulated waits of ");
        assert_eq!(
            error.lines().filter(|line| !is_warning(line)).count(),
            1,
            "{error}"
        );
    }
    assert!(good.bodies.lock().unwrap().is_empty());
}

#[test]
fn flags_of_targets_and_of_stand_ins_exclude_each_other() {
    let logs = recorded(&rows(1));
    for flags in [
        ["--target", "http://h:1"],
        ["--bodies", "f"],
        ["--allow-target", "h"],
    ] {
        let done = replay(&logs, "http://127.0.0.1:9", &flags);
        assert_eq!(done.status.code(), Some(2));
        assert!(stderr(&done).contains("cannot be used with"), "{}", stderr(&done));
    }
}

#[test]
fn a_path_that_just_fits_into_the_slots_is_a_note() {
    let logs = recorded(&own_call());
    let fake = Fake::start(description(Some(2), None));
    let done = replay(&logs, &fake.url, &[]);
    let text = String::from_utf8_lossy(&done.stdout).into_owned();
    assert_eq!(done.status.code(), Some(0), "{}{text}", stderr(&done));
    assert!(
        text.contains("and it has 2 slots: requests that wait for each other's slots can block"),
        "{text}"
    );
}

#[test]
fn work_is_kept_on_a_node_of_another_speed() {
    let logs = recorded(&rows(1).replace("\"cpu_time_ms\":0.000000", "\"cpu_time_ms\":2.000000"));
    logs.write(
        "r",
        "nodes.json",
        r#"[{"node_id":"n","stage":"edge","cpu_cores":2,"mem_mb":1,"mips_per_core":1000.0}]"#,
    );
    let fake = Fake::start(description(Some(1), Some(500.0)));
    let done = replay(&logs, &fake.url, &["--keep", "work"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let bodies = fake.bodies.lock().unwrap();
    let answer = standin::decode(&bodies[0]).unwrap().answer;
    // 2 ms become 4 ms, and the other 1.5 ms stay the same.
    assert_eq!((answer.cpu_ns, answer.gap_ns), (4_000_000, 5_500_000));
}

/// This test failed before the fix: the error named a time, or orphans, instead of the damaged lines and files.
#[test]
fn rows_that_are_missing_are_named_as_the_reason() {
    let last_line = |done: &Output| stderr(done).lines().last().unwrap_or_default().to_owned();
    let damaged = recorded(&rows(2).replace("\"status\":200", "\"status\":\"ok\""));
    let done = replay(&damaged, "http://127.0.0.1:9", &[]);
    assert_eq!(done.status.code(), Some(1));
    assert_eq!(
        last_line(&done),
        "cctf: cannot read r: it has no invocations: 2 lines are damaged; cctf validate shows what is wrong with them"
    );
    // The caller of the only invocation is in the file that is missing.
    let called = format!(
        "\"parent_id\":null,\"parent_span_id\":\"{0:016x}\",\"caller_span_id\":\"{0:016x}\"",
        9
    );
    let orphan = recorded(&rows(1).replace("\"parent_id\":null,\"parent_span_id\":null", &called));
    fs::remove_file(orphan.path().join("r/cctf/calls.jsonl")).unwrap();
    for flags in [&["--dry-run"][..], &[]] {
        let done = replay(&orphan, "http://127.0.0.1:9", flags);
        assert_eq!(done.status.code(), Some(1));
        let error = last_line(&done);
        assert!(
            error.contains("and rows are missing: r has no calls.jsonl; restore them"),
            "{error}"
        );
    }
}
