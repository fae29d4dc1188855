//! [`Shop`]: a recorded run of two modules as CCTF, for tests of this crate and of the binaries. `front` on ep0 has a slot for each
//! request and calls `back` on edge0, which has few.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

/// Start of the run, nanoseconds since the Unix epoch.
const T0: i64 = 1_760_000_000_000_000_000;
pub const MS: i64 = 1_000_000;

/// A run to write.
#[derive(Debug, Clone)]
pub struct Shop {
    /// Arrivals at `front`, and services of `back`, nanoseconds.
    pub requests: Vec<(i64, i64)>,
    pub back_slots: usize,
    /// Slots of `back` in the inventory, if these are others.
    pub back_reports_slots: Option<u32>,
    /// Own time of `front` before and after its call. All of it is CPU time.
    pub front_ns: [i64; 2],
    /// Of a service of `back`, so many hundredths are CPU time. `None`: unknown.
    pub back_cpu_percent: Option<i64>,
    /// Of a service of `back`, so many nanoseconds are a wait for a CPU that another process used.
    pub back_cpu_wait_ns: i64,
    /// One way between both.
    pub net_ns: i64,
    /// Bodies of the calls to `back` and of their answers.
    pub bytes: [i64; 2],
    pub nodes: String,
    pub links: String,
    /// Module of both instances. `None`: each has a module of its own.
    pub module: Option<&'static str>,
}

impl Shop {
    /// These requests at the stations of the shop.
    pub fn of(requests: Vec<(i64, i64)>) -> Self {
        Self {
            requests,
            back_slots: 1,
            back_reports_slots: None,
            front_ns: [MS, MS / 2],
            back_cpu_percent: Some(10),
            back_cpu_wait_ns: 0,
            net_ns: 5 * MS,
            bytes: [1_000, 200],
            nodes: node("ep0", 8, Some(1_000.0)) + "," + &node("edge0", 8, Some(1_000.0)),
            links: link("ep0", "edge0", 0.005, 1e8),
            module: None,
        }
    }

    /// Requests so far apart that none waits.
    pub fn idle(count: usize) -> Self {
        Self {
            // Further loads have requests that are closer together.
            back_slots: 100,
            ..Self::of(
                (0..count as i64)
                    .map(|number| (number * 200 * MS, 4 * MS))
                    .collect(),
            )
        }
    }

    /// Writes the run below `logs`.
    pub fn write(&self, logs: &Path) {
        let cctf = logs.join("shop/cctf");
        fs::create_dir_all(&cctf).unwrap();
        let (invocations, calls) = self.rows();
        for (file, text) in [
            ("invocations.jsonl", invocations.as_str()),
            ("calls.jsonl", calls.as_str()),
            ("host_metrics.jsonl", ""),
            ("link_metrics.jsonl", ""),
            ("placement_events.jsonl", ""),
            ("system_stats.jsonl", ""),
            ("nodes.json", &format!("[{}]", self.nodes)),
            ("links.json", &format!("[{}]", self.links)),
            ("module_inventory.json", &self.inventory()),
            ("run_meta.json", META),
        ] {
            fs::write(cctf.join(file), text).unwrap();
        }
    }

    fn inventory(&self) -> String {
        let instance = |name: &str, node: &str, slots: u32| {
            format!(
                r#"{{"instance_id":"{name}-1","node_id":"{node}","workers":{slots},"queue_limit":1000000,"slot_policy":"held","slots_src":"told"}}"#
            )
        };
        let module = |name: &str, instances: &[&str], called: Option<&str>| {
            let call = |to: &str| format!(r#"{{"to":"{to}","per_invocation":1.0}}"#);
            format!(
                r#"{{"app_id":null,"module_id":"{name}","name":"{name}","type":"MODULE","resources":null,"endpoints":[],"calls":[{}],"instances":[{}]}}"#,
                called.map_or_else(String::new, call),
                instances.join(",")
            )
        };
        let front = instance("front", "ep0", 1_000);
        let slots = self.back_reports_slots.unwrap_or(self.back_slots as u32);
        let back = instance("back", "edge0", slots);
        match self.module {
            Some(name) => format!("[{}]", module(name, &[&front, &back], Some(name))),
            None => format!(
                "[{},{}]",
                module("front", &[&front], Some("back")),
                module("back", &[&back], None)
            ),
        }
    }

    /// Module, instance and node.
    fn instance(&self, name: &'static str, node: &'static str) -> Instance {
        (self.module.unwrap_or(name), name, node)
    }

    /// Serves all requests, first come, first served at `back`, by the recursion of Kiefer and Wolfowitz.
    fn rows(&self) -> (String, String) {
        let (mut invocations, mut calls) = (String::new(), String::new());
        let mut free = vec![i64::MIN; self.back_slots];
        for (number, &(at, service)) in self.requests.iter().enumerate() {
            let trace = format!("{:032x}", number + 1);
            let called = at + self.front_ns[0];
            let arrives = called + self.net_ns;
            let slot = free.iter_mut().min().unwrap();
            let start = arrives.max(*slot);
            let end = start + service;
            *slot = end;
            let back = end + self.net_ns;
            let ends = back + self.front_ns[1];
            let cpu = self.back_cpu_percent.map(|percent| service * percent / 100);
            let front = Times {
                at,
                start: at,
                end: ends,
                cpu: self.back_cpu_percent.map(|_| self.front_ns[0] + self.front_ns[1]),
                cpu_wait: 0,
            };
            let at_back = Times {
                at: arrives,
                start,
                end,
                cpu,
                cpu_wait: self.back_cpu_wait_ns,
            };
            let (caller, callee) = (self.instance("front", "ep0"), self.instance("back", "edge0"));
            invocation(&mut invocations, &trace, caller, (2, None, 1), &front, [0, 0]);
            invocation(
                &mut invocations,
                &trace,
                callee,
                (4, Some(2), 3),
                &at_back,
                self.bytes,
            );
            call(
                &mut calls,
                &trace,
                (("driver", "driver", "driver0"), caller.0),
                (1, None),
                [at, ends],
                [0, 0],
            );
            call(
                &mut calls,
                &trace,
                (caller, callee.0),
                (3, Some(2)),
                [called, back],
                self.bytes,
            );
        }
        (invocations, calls)
    }
}

const META: &str = r#"{"run_id":"shop","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0.1.0","started_ts":1760000000000.0,"ended_ts":1760001000000.0,"time_base":"unix_utc","counts":{"spans":7,"points":0,"logs":0,"rows":{},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{}}}"#;

pub fn node(name: &str, cores: u32, mips: Option<f64>) -> String {
    let mips = mips.map_or_else(String::new, |mips| format!(r#","mips_per_core":{mips:?}"#));
    format!(r#"{{"node_id":"{name}","stage":"edge","cpu_cores":{cores},"mem_mb":null{mips}}}"#)
}

pub fn link(u: &str, v: &str, delay_s: f64, rate_bps: f64) -> String {
    format!(r#"{{"u":"{u}","v":"{v}","BW_bps":{rate_bps:?},"PR_s":{delay_s:?},"src":"estimated"}}"#)
}

/// Module, name of the instance without its number, and node.
type Instance = (&'static str, &'static str, &'static str);

struct Times {
    at: i64,
    start: i64,
    end: i64,
    cpu: Option<i64>,
    cpu_wait: i64,
}

fn ms(ns: i64) -> String {
    format!("{}.{:06}", ns / MS, ns % MS)
}

fn span(id: Option<u64>) -> String {
    id.map_or_else(|| "null".to_owned(), |id| format!("\"{id:016x}\""))
}

fn invocation(
    out: &mut String,
    trace: &str,
    (module, name, node): Instance,
    (id, parent, caller): (u64, Option<u64>, u64),
    times: &Times,
    bytes: [i64; 2],
) {
    let cpu = times.cpu.map_or_else(|| "null".to_owned(), ms);
    let _ = writeln!(
        out,
        r#"{{"trace_id":"{trace}","span_id":"{id:016x}","parent_id":{},"parent_span_id":"{caller:016x}","module_id":"{module}","instance_id":"{name}-1","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"{node}","stage":"edge","method":"GET","path":"/{name}","bytes_in":{},"bytes_out":{},"cpu_time_ms":{cpu},"cpu_wait_ms":{},"queue_time_ms":{},"service_time_ms":{},"rt_ms":{},"status":200,"protocol":"http","downstream_ms":null,"wakeup_ms":0.0,"kind":"server","caller_span_id":"{caller:016x}"}}"#,
        span(parent),
        ms(T0 + times.at),
        ms(T0 + times.start),
        ms(T0 + times.end),
        bytes[0],
        bytes[1],
        ms(times.cpu_wait),
        ms(times.start - times.at),
        ms(times.end - times.start),
        ms(times.end - times.at),
    );
}

fn call(
    out: &mut String,
    trace: &str,
    ((module, name, node), to): (Instance, &str),
    (id, parent): (u64, Option<u64>),
    [start, end]: [i64; 2],
    bytes: [i64; 2],
) {
    let parent = span(parent);
    let _ = writeln!(
        out,
        r#"{{"trace_id":"{trace}","span_id":"{id:016x}","parent_span_id":{parent},"ancestor_id":{parent},"module_id":"{module}","instance_id":"{name}-1","node":"{node}","stage":"edge","ts_start":{},"ts_end":{},"method":"GET","path":"/{to}","bytes_out":{},"bytes_in":{},"status":200,"kind":"client","protocol":"http","peer":"{to}:80","peer_module":"{to}"}}"#,
        ms(T0 + start),
        ms(T0 + end),
        bytes[0],
        bytes[1],
    );
}
