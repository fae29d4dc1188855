//! Rows beyond the bounds of a merge: more endpoints than a module and a run list, more calls of a link than its estimate uses, more calls
//! in a second than a line of a bucket has, and names that no inventory has.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use tempfile::TempDir;

use crate::folders::folder;

/// Above the number of calls that the estimate of a link uses.
const TRACES: u64 = 8_000;
/// Above the number of endpoints of a module.
const PATHS: u64 = 700;
/// Modules with many endpoints each: above the number of endpoints of a run together.
const MODULES: u64 = 12;
const BASE_MS: u64 = 1_760_000_000_000;

const RUN_META: &str = r#"{"run_id":"r","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.000000,"ended_ts":1760000700000.000000,"time_base":"unix_utc","counts":{"spans":0,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}}"#;

/// A number that looks random and follows from another one.
fn mixed(number: u64) -> u64 {
    let mixed = (number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^ mixed >> 29
}

/// A trace id. Its last digits differ, so that each bucket has some of the traces.
fn trace(number: u64) -> String {
    format!("{:016x}{:016x}", mixed(number), mixed(number + 1_000_000))
}

struct Rows {
    invocations: String,
    calls: String,
}

impl Rows {
    /// A call from the front on one node to a module on another one, and its answer.
    fn add(&mut self, number: u64) {
        let random = mixed(number);
        // Half of all calls go to one module.
        let module = if random.is_multiple_of(2) {
            0
        } else {
            random / 2 % MODULES
        };
        let path = random / 100 % PATHS;
        // Paths get rarer, and the first ones are in most buckets.
        let path = path * path / PATHS;
        let begin = BASE_MS + number / 40;
        let (trace, net_us) = (trace(number), 200 + random % 900);
        let (call, answer) = (2 * number + 1, 2 * number + 2);
        let size = 1_000 + random % 100_000;
        // Of every ninth call, no answer exists: its own row names the module, or nothing does.
        let peer_module = match number % 27 {
            0 => format!(r#","peer_module":"module-{module}""#),
            9 => r#","peer_module":"nobody""#.to_owned(),
            _ => String::new(),
        };
        let app = if module.is_multiple_of(2) {
            r#""shop""#
        } else {
            "null"
        };
        let (end_us, parent) = (5_000 + net_us, number.is_multiple_of(5));
        let parent_span = if parent {
            format!("\"{:016x}\"", 7)
        } else {
            "null".to_owned()
        };
        writeln!(
            self.calls,
            r#"{{"trace_id":"{trace}","span_id":"{call:016x}","parent_span_id":{parent_span},"ancestor_id":null,"module_id":"front","instance_id":"front-1","node":"edge0","stage":"edge","ts_start":{begin}.000000,"ts_end":{}.{:03}000,"method":"GET","path":"/x","bytes_out":{size},"bytes_in":10,"status":200,"peer":"peer-{}","kind":"client"{peer_module}}}"#,
            begin + end_us / 1_000,
            end_us % 1_000,
            random % 300,
        )
        .unwrap();
        if number.is_multiple_of(9) {
            return;
        }
        writeln!(
            self.invocations,
            r#"{{"trace_id":"{trace}","span_id":"{answer:016x}","parent_id":null,"parent_span_id":"{call:016x}","module_id":"module-{module}","instance_id":"i-{module}","ts_enqueue":{begin}.100000,"ts_start":{begin}.200000,"ts_end":{}.100000,"node":"cloud{}","stage":"cloud","method":"GET","path":"/{path}","bytes_in":{size},"bytes_out":10,"cpu_time_ms":{}.000000,"queue_time_ms":0.100000,"service_time_ms":{}.{:03}000,"rt_ms":5.000000,"status":200,"app_id":{app},"downstream_ms":null,"kind":"server"}}"#,
            begin + 5,
            module % 3,
            random % 4,
            random % 50,
            random % 1_000,
        )
        .unwrap();
    }
}

fn write(folder: &Path, rows: &Rows) {
    let cctf = folder.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    fs::write(cctf.join("invocations.jsonl"), &rows.invocations).unwrap();
    fs::write(cctf.join("calls.jsonl"), &rows.calls).unwrap();
    for name in ["host_metrics", "link_metrics", "placement_events", "system_stats"] {
        fs::write(cctf.join(format!("{name}.jsonl")), "").unwrap();
    }
    for name in ["nodes", "links", "module_inventory"] {
        fs::write(cctf.join(format!("{name}.json")), "[]\n").unwrap();
    }
    fs::write(cctf.join("run_meta.json"), RUN_META).unwrap();
}

/// Two folders, which have each third row in common.
pub fn folders() -> Vec<TempDir> {
    let folders = [0, 1].map(|half| {
        let mut rows = Rows {
            invocations: String::new(),
            calls: String::new(),
        };
        for number in (0..TRACES).filter(|number| number % 3 == 2 || number % 3 == half) {
            rows.add(number);
        }
        let folder = folder();
        write(folder.path(), &rows);
        folder
    });
    folders.into()
}
