//! CPU time by endpoint from the files of a run. Only modules without measured CPU times get estimates, and all processes of a
//! module are joined.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "support/process.rs"]
#[allow(dead_code, reason = "its other mixes are for other tests")]
mod process;
#[path = "support/random.rs"]
mod random;

use std::fmt::Write as _;
use std::fs;

use analyze::endpoint_cpu::{Options, endpoint_cpu};
use process::{Mix, Process};
use random::Random;
use rundir::parts::Target;

const ROUTES: [&str; 2] = ["/a", "/b"];
const BURNS_MS: [f64; 2] = [2.0, 6.0];
/// Time at which the simulation starts.
const START_NS: i64 = 1_700_000_000_000_000_000;

fn ms(ns: i64) -> String {
    let ns = START_NS + ns;
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

/// Appends the rows of one process to both files.
fn write(seed: u64, module: &str, cpu: &str, stats: &mut String, invocations: &mut String) {
    let process = Process {
        burns_ms: BURNS_MS.to_vec(),
        mix: Mix::Varied,
        seconds: 600,
        rate: 60.0,
    };
    let observed = process.run(&mut Random::new(seed));
    for (at, cpu_s) in observed.samples {
        for (mode, share) in [("user", 0.75), ("system", 0.25)] {
            let (at, value) = (ms(at), cpu_s * share);
            let _ = writeln!(
                stats,
                r#"{{"ts_ms":{at},"node_id":"n","stage":"edge","metric":"process.cpu.time","value":{value},"instance_id":"i{seed}","module_id":"{module}","unit":"s","attributes":{{"cpu.mode":"{mode}"}}}}"#
            );
        }
    }
    for (number, (endpoint, start, end)) in observed.requests.into_iter().enumerate() {
        let (start, end, route) = (ms(start), ms(end), ROUTES[endpoint]);
        let _ = writeln!(
            invocations,
            r#"{{"trace_id":"{number:032x}","span_id":"{number:016x}","parent_id":null,"parent_span_id":null,"module_id":"{module}","instance_id":"i{seed}","ts_enqueue":{start},"ts_start":{start},"ts_end":{end},"node":"n","stage":"edge","method":"GET","path":"/x/{number}","bytes_in":null,"bytes_out":null,"cpu_time_ms":{cpu},"queue_time_ms":null,"service_time_ms":null,"rt_ms":null,"status":200,"route":"{route}","downstream_ms":null,"kind":"server"}}"#
        );
    }
}

#[test]
fn modules_without_cpu_times_get_them_from_all_their_processes() {
    let logs = tempfile::tempdir().unwrap();
    let cctf = logs.path().join("r/cctf");
    fs::create_dir_all(&cctf).unwrap();
    let (mut stats, mut invocations) = (String::new(), String::new());
    write(1, "stock", "null", &mut stats, &mut invocations);
    write(2, "stock", "null", &mut stats, &mut invocations);
    write(3, "ours", "1.000000", &mut stats, &mut invocations);
    invocations += "{\"damaged\":\n";
    // A damaged line may lack the name of its metric.
    stats += "X\n";
    fs::write(cctf.join("system_stats.jsonl"), stats).unwrap();
    fs::write(cctf.join("invocations.jsonl"), invocations).unwrap();
    fs::write(cctf.join("run_meta.json"), r#"{"run_id":"r","ended_ts":1.0}"#).unwrap();
    let (run, part) = Target::Folder(logs.path().join("r")).find().unwrap().unwrap();
    let mut progress = (0, 0);
    let found = endpoint_cpu(&run, &part, &Options::all(2), &mut |at| {
        progress = (at.done, at.total)
    })
    .unwrap();
    let size = fs::metadata(cctf.join("invocations.jsonl")).unwrap().len();
    assert_eq!(progress, (size, size));
    assert_eq!(found.damaged, 2);
    let [module] = &*found.modules else {
        panic!("{found:?}");
    };
    assert_eq!((module.module_id.as_str(), module.endpoints.len()), ("stock", 2));
    for ((endpoint, route), burn_ms) in module.endpoints.iter().zip(ROUTES).zip(BURNS_MS) {
        assert_eq!(endpoint.route.as_deref(), Some(route));
        let cpu = endpoint.cpu.unwrap();
        assert!((cpu.mean * 1e3 - burn_ms).abs() <= 0.1 * burn_ms + 0.1, "{cpu:?}");
        assert!(cpu.low < cpu.mean && cpu.mean < cpu.high, "{cpu:?}");
    }
}

#[test]
fn invocations_are_read_only_for_wanted_modules_with_samples() {
    let logs = tempfile::tempdir().unwrap();
    let cctf = logs.path().join("r/cctf");
    fs::create_dir_all(&cctf).unwrap();
    let (mut stats, mut invocations) = (String::new(), String::new());
    write(1, "stock", "null", &mut stats, &mut invocations);
    fs::write(cctf.join("system_stats.jsonl"), stats).unwrap();
    // If the file were opened, there would be an error.
    fs::create_dir(cctf.join("invocations.jsonl")).unwrap();
    fs::write(cctf.join("run_meta.json"), r#"{"run_id":"r","ended_ts":1.0}"#).unwrap();
    let (run, part) = Target::Folder(logs.path().join("r")).find().unwrap().unwrap();
    let with = |is_wanted: &dyn Fn(&str) -> bool| {
        let options = Options {
            is_wanted,
            ..Options::all(2)
        };
        endpoint_cpu(&run, &part, &options, &mut |_| {}).map(|found| found.modules.len())
    };
    assert_eq!(with(&|module| module == "front").unwrap(), 0);
    assert!(with(&|module| module == "stock").is_err());
}

#[test]
fn a_run_without_samples_has_no_figures() {
    let logs = tempfile::tempdir().unwrap();
    let cctf = logs.path().join("r/cctf");
    fs::create_dir_all(&cctf).unwrap();
    fs::write(cctf.join("run_meta.json"), r#"{"run_id":"r","ended_ts":1.0}"#).unwrap();
    let (run, part) = Target::Folder(logs.path().join("r")).find().unwrap().unwrap();
    let found = endpoint_cpu(&run, &part, &Options::all(2), &mut |_| {}).unwrap();
    assert!(found.modules.is_empty());
}
