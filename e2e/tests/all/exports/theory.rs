//! Networks whose solution is known: stations with exponential services and Poisson arrivals, one after the other.
//!
//! A request passes a gate without slots, which calls one station after the other: so the stations are a tandem of M/M/c queues, each with
//! the wait of Erlang's formula.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use e2e::binaries::{Done, tool};
use serde_json::Value;

use super::{Exported, run_python};

const ROOTS: u64 = 400;
/// Requests arrive as regularly as this; the network has the mean only.
const GAP_US: u64 = 10_000;
/// Largest difference between LINE and the formula: of a wait, and of a mean response.
const WAIT_ERROR_MAX: f64 = 0.05;
const WAIT_MS_MAX: f64 = 0.02;
const RESPONSE_ERROR_MAX: f64 = 0.01;

/// Span id of the gate's invocation in each trace.
const GATE: u64 = 1;

/// Slots and service time of a station, us.
type Station = (u32, u64);

/// The mean wait for one of `slots` servers, milliseconds.
fn erlang_wait_ms(rate: f64, (slots, service_us): Station) -> f64 {
    let service_ms = service_us as f64 / 1e3;
    let load = rate / 1e3 * service_ms;
    let busy = load / f64::from(slots);
    // The terms of an empty system, one with one request, and so on.
    let mut term = 1.0;
    let mut sum = 0.0;
    for number in 0..slots {
        sum += term;
        term *= load / f64::from(number + 1);
    }
    let waiting = term / (1.0 - busy);
    waiting / (sum + waiting) * service_ms / (f64::from(slots) * (1.0 - busy))
}

/// Milliseconds with six decimals.
fn ms(us: u64) -> String {
    format!("{}.{:03}000", us / 1000, us % 1000)
}

/// A row without CPU time, from its begin to its end. `queue` is the JSON of its queue time.
fn invocation(
    trace: u64,
    span: u64,
    caller: Option<(u64, u64)>,
    [begin, end]: [u64; 2],
    module: &str,
) -> String {
    let id = |span: u64| format!("\"{span:016x}\"");
    let (parent, call) = caller.map_or(("null".to_owned(), "null".to_owned()), |(parent, call)| {
        (id(parent), id(call))
    });
    let caller = caller.map_or(String::new(), |(_, call)| {
        format!(",\"caller_span_id\":{}", id(call))
    });
    let queue = if module == "gate" { "null" } else { "0.000000" };
    let duration = ms(end - begin);
    let (begin, end) = (ms(begin), ms(end));
    format!(
        r#"{{"trace_id":"{trace:032x}","span_id":{},"parent_id":{parent},"parent_span_id":{call},"module_id":"{module}","instance_id":"i","ts_enqueue":{begin},"ts_start":{begin},"ts_end":{end},"node":"n","stage":"edge","method":"GET","path":"/","bytes_in":1,"bytes_out":1,"cpu_time_ms":0.000000,"queue_time_ms":{queue},"service_time_ms":{duration},"rt_ms":{duration},"status":200,"downstream_ms":null,"kind":"server"{caller}}}"#,
        id(span),
    ) + "\n"
}

fn call(trace: u64, span: u64, [begin, end]: [u64; 2]) -> String {
    let (begin, end) = (ms(begin), ms(end));
    format!(
        r#"{{"trace_id":"{trace:032x}","span_id":"{span:016x}","parent_span_id":"{0:016x}","ancestor_id":"{0:016x}","module_id":"gate","instance_id":"i","node":"n","stage":"edge","ts_start":{begin},"ts_end":{end},"method":"GET","path":"/","bytes_out":1,"bytes_in":1,"status":200,"kind":"client"}}"#,
        GATE
    ) + "\n"
}

/// Writes a run in which each request passes all stations, without waits.
fn write(run: &Path, stations: &[Station]) {
    let (mut invocations, mut calls) = (String::new(), String::new());
    for root in 0..ROOTS {
        let (trace, begin) = (root + 1, 1_790_000_000_000_000 + root * GAP_US);
        let mut at = begin;
        for (place, (_, service_us)) in (0_u64..).zip(stations) {
            let (times, ids) = ([at, at + service_us], [2 * place + 2, 2 * place + 3]);
            calls += &call(trace, ids[0], times);
            invocations += &invocation(trace, ids[1], Some((GATE, ids[0])), times, &format!("m{place}"));
            at += service_us;
        }
        invocations += &invocation(trace, GATE, None, [begin, at], "gate");
    }
    let mut inventory =
        r#"[{"app_id":null,"module_id":"gate","name":"gate","type":"MODULE","resources":null}"#.to_owned();
    for (place, (slots, _)) in stations.iter().enumerate() {
        let _ = write!(
            inventory,
            r#",{{"app_id":null,"module_id":"m{place}","name":"m{place}","type":"MODULE","resources":null,"instances":[{{"instance_id":"i","node_id":"n","workers":{slots}}}]}}"#
        );
    }
    let cctf = run.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for (name, text) in [
        ("invocations.jsonl", invocations),
        ("calls.jsonl", calls),
        ("module_inventory.json", inventory + "]"),
        (
            "run_meta.json",
            r#"{"run_id":"tandem","ended_ts":1.000000}"#.to_owned(),
        ),
    ] {
        fs::write(cctf.join(name), text).unwrap();
    }
}

/// LINE's solution of the network of these stations.
fn solved(stations: &[Station], flags: &[&str]) -> Value {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("tandem");
    write(&run, stations);
    let exported = Exported::new("lqn", &run, &[]);
    run_python("line", &exported.path("solve.py"), flags);
    serde_json::from_slice(&fs::read(exported.path("results.json")).unwrap()).unwrap()
}

/// LINE's waits and responses are those of the formula.
fn check(stations: &[Station], flags: &[&str]) {
    let found = solved(stations, flags);
    let rate = found["rate"].as_f64().unwrap();
    let of = |module: &str, field: &str| {
        let all = found["stations"].as_array().unwrap();
        let station = all.iter().find(|station| station["module"] == module).unwrap();
        station[field].as_f64().unwrap()
    };
    let near = |what: &str, found: f64, expected: f64, error: f64| {
        assert!(
            (found - expected).abs() <= error,
            "{what}: {found}, expected {expected}\n{stations:?} at {rate}/s"
        );
    };
    let mut response_ms = 0.0;
    for (place, station) in stations.iter().enumerate() {
        let (slots, service_us) = (f64::from(station.0), station.1 as f64);
        let (module, wait_ms) = (format!("m{place}"), erlang_wait_ms(rate, *station));
        near(
            "wait",
            of(&module, "queue_ms"),
            wait_ms,
            WAIT_MS_MAX.max(WAIT_ERROR_MAX * wait_ms),
        );
        near(
            "busy",
            of(&module, "utilisation"),
            rate * service_us / 1e6 / slots,
            1e-3,
        );
        response_ms += wait_ms + service_us / 1e3;
    }
    near(
        "response",
        of("gate", "response_ms"),
        response_ms,
        RESPONSE_ERROR_MAX * response_ms,
    );
}

#[test]
fn line_has_the_waits_of_mm1_mmc_and_a_tandem() {
    for stations in [
        [(1, 3_000)].as_slice(),
        &[(1, 7_000)],
        &[(2, 14_000)],
        &[(4, 28_000)],
        &[(2, 14_000), (1, 5_000)],
    ] {
        check(stations, &[]);
    }
}

#[test]
fn line_predicts_another_rate() {
    check(&[(2, 6_000)], &["--rate", "233.5"]);
}

#[test]
fn a_network_that_takes_too_long_is_given_up_with_a_sentence() {
    let folder = tempfile::tempdir().unwrap();
    let run = folder.path().join("tandem");
    // LINE needs several seconds for each attempt with as many stations.
    write(&run, &[(2, 6_000); 12]);
    let exported = Exported::new("lqn", &run, &[]);
    let mut solve = Command::new(tool("line/bin/python").unwrap());
    solve.arg(exported.path("solve.py")).args(["--seconds", "1"]);
    let done = Done::from(solve.output().unwrap());
    assert_eq!(done.code, Some(1), "{}\n{}", done.stdout, done.stderr);
    assert!(done.stderr.contains("no answer within 1 s"), "{}", done.stderr);
    assert!(!exported.path("results.json").exists());
}
