//! [`Made`]: a run of one station and its driver, and replays of it, made by hand.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Name of the service's module. Pages must escape it.
pub const MODULE: &str = "front<b>";
/// The first request of each run.
const BEGIN_NS: u64 = 1_760_000_000_000_000_000;
/// Mean gap between requests.
const GAP_NS: f64 = 10e6;
/// Mean service time: a utilization of 0.3.
const SERVICE_NS: f64 = 3e6;
/// Each way.
const NETWORK_NS: u64 = 100_000;

/// A run to write. All runs have the same arrivals and, but for the factor and 1% of noise, the same services.
#[derive(Debug, Clone, Copy)]
pub struct Made<'a> {
    pub run: &'a str,
    /// The run that it replays.
    pub replays: Option<&'a str>,
    pub requests: u64,
    pub service_factor: f64,
    /// Added to the time of every hundredth send.
    pub late_ns: u64,
    pub has_ended: bool,
    pub seed: u64,
}

/// The recorded run of most tests.
pub const RECORDED: Made<'_> = Made {
    run: "before",
    replays: None,
    requests: 4000,
    service_factor: 1.0,
    late_ns: 0,
    has_ended: true,
    seed: 1,
};
/// Its replay on the same machine.
pub const REPLAYED: Made<'_> = Made {
    run: "after",
    replays: Some("before"),
    seed: 2,
    ..RECORDED
};

/// SplitMix64 (Steele, Lea and Flood, 2014).
struct Random(u64);

impl Random {
    /// Above 0, at most 1.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1_u64 << 53) as f64 + f64::MIN_POSITIVE
    }
}

/// The beginning of all trace ids of a run.
fn traces_of(run: &str) -> u64 {
    run.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte))
}

fn ms(ns: u64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

impl Made<'_> {
    pub fn write(&self, logs: &Path) {
        let cctf = logs.join(self.run).join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        let (invocations, calls) = self.rows();
        let ended = if self.has_ended {
            "1760000100000.000000"
        } else {
            "null"
        };
        let replay = self
            .replays
            .map(|run| format!(r#","replay_of":"{run}""#))
            .unwrap_or_default();
        let meta = format!(
            r#"{{"run_id":"{}","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":{}{replay},"ended_ts":{ended},"time_base":"unix_utc","counts":{{"spans":0,"points":0,"logs":0,"rows":{{}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#,
            self.run,
            ms(BEGIN_NS)
        );
        let inventory = format!(
            r#"[{{"app_id":null,"module_id":"{MODULE}","name":"{MODULE}","type":"MODULE","resources":null,"instances":[{{"instance_id":"i","node_id":"n","workers":1}}]}}]"#
        );
        for (file, text) in [
            ("invocations.jsonl", invocations),
            ("calls.jsonl", calls),
            ("run_meta.json", meta),
            ("module_inventory.json", inventory),
        ] {
            fs::write(cctf.join(file), text).unwrap();
        }
    }

    /// Lines of invocations and calls.
    fn rows(&self) -> (String, String) {
        let (mut shared, mut own) = (Random(1), Random(self.seed));
        let (mut at, mut free) = (BEGIN_NS, 0);
        let (mut invocations, mut calls) = (String::new(), String::new());
        for number in 1..=self.requests {
            at += (-GAP_NS * shared.uniform().ln()) as u64;
            let base = SERVICE_NS * (0.5 + shared.uniform());
            let service = (base * self.service_factor * (0.99 + 0.02 * own.uniform())) as u64;
            let late = if number % 100 == 0 { self.late_ns } else { 1000 };
            let sent = at + late;
            let enqueued = sent + NETWORK_NS;
            let started = enqueued.max(free);
            free = started + service;
            let id = format!("{:016x}{number:016x}", traces_of(self.run));
            let original = self.replays.map(|run| {
                format!(
                    r#","replay_of_trace_id":"{:016x}{number:016x}","replay_of_span_id":"{:016x}""#,
                    traces_of(run),
                    2 * number
                )
            });
            let _ = writeln!(
                calls,
                r#"{{"trace_id":"{id}","span_id":"{:016x}","parent_span_id":null,"ancestor_id":null,"module_id":"cctf-load","instance_id":"l","node":"n","stage":"endpoint","ts_start":{},"ts_end":{},"method":"GET","path":"/a","bytes_out":10,"bytes_in":20,"status":200,"kind":"client","protocol":"http","peer":"n:1","peer_module":"{MODULE}"{},"lateness_ms":{}}}"#,
                2 * number,
                ms(sent),
                ms(free + NETWORK_NS),
                original.unwrap_or_default(),
                ms(late),
            );
            let _ = writeln!(
                invocations,
                r#"{{"trace_id":"{id}","span_id":"{:016x}","parent_id":null,"parent_span_id":"{:016x}","module_id":"{MODULE}","instance_id":"i","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"n","stage":"edge","method":"GET","path":"/a","bytes_in":10,"bytes_out":20,"cpu_time_ms":{},"queue_time_ms":{},"service_time_ms":{},"rt_ms":{},"status":200,"protocol":"http","downstream_ms":null,"kind":"server","caller_span_id":"{:016x}","net_ms":{}}}"#,
                2 * number + 1,
                2 * number,
                ms(enqueued),
                ms(started),
                ms(free),
                // A longer service waits, and takes no more CPU time.
                ms((service as f64 / self.service_factor / 2.0) as u64),
                ms(started - enqueued),
                ms(service),
                ms(free - enqueued),
                2 * number,
                ms(2 * NETWORK_NS),
            );
        }
        (invocations, calls)
    }
}
