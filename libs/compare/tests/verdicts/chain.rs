//! [`Chain`]: a run of two modules, written as CCTF: `front` calls `back`, which has one slot and a queue.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use compare::model::Comparison;
use compare::{Options, margins::Margins};
use rundir::parts::Target;

use crate::support::Random;

/// Start of each run, nanoseconds since the Unix epoch.
const T0: u64 = 1_760_000_000_000_000_000;
const NS_PER_MS: f64 = 1e6;
/// Network time between two modules in one direction, ms.
const NETWORK: f64 = 0.1;
/// Own time of `front` before and after its calls, ms.
const FRONT: [f64; 2] = [0.4, 0.2];

/// The times of one request, ms.
#[derive(Debug, Clone)]
pub struct Request {
    pub at: f64,
    /// Number of the recorded request, if it replays one.
    pub original: usize,
    /// Service times and statuses of its calls to `back`, which follow each other.
    pub calls: Vec<(f64, u16)>,
    pub status: u16,
    /// Path at `front`.
    pub front: &'static str,
    /// Path of its calls to `back`.
    pub path: &'static str,
    pub lateness: Option<f64>,
    /// Duration of a call to a database, which `front` makes before the other calls. 0: no such call.
    pub database: f64,
    /// Wake-up: time from when a slot of `back` is free for a call to the start of the call's work, ms.
    pub wakeup: f64,
    /// Time without a CPU during each service of `back`, ms. `None`: not reported.
    pub cpu_wait: Option<f64>,
    /// Whether the folder has rows of the request.
    pub is_recorded: bool,
}

/// A run.
#[derive(Debug, Clone)]
pub struct Chain {
    pub requests: Vec<Request>,
    pub slots: u64,
    pub id: &'static str,
    pub replay_of: Option<&'static str>,
    /// Further fields of `run_meta.json`. A comma follows each.
    pub meta: String,
    /// A number that makes the trace ids of different runs different.
    pub base: u64,
}

impl Chain {
    /// A run with Poisson arrivals at a utilisation of `rho`. Its lognormal service times have a mean of 4 ms and a coefficient
    /// of variation of 0.5.
    pub fn new(seed: u64, number: usize, rho: f64) -> Self {
        let mut random = Random::new(seed);
        let mut at = 0.0;
        let requests = (0..number).map(|original| {
            at += random.exponential(4.0 / rho);
            Request {
                at,
                original,
                calls: vec![(random.lognormal(4.0, 0.5), 200)],
                status: 200,
                front: "/front",
                path: "/back",
                lateness: None,
                database: 0.0,
                wakeup: 0.0,
                cpu_wait: None,
                is_recorded: true,
            }
        });
        Self {
            requests: requests.collect(),
            slots: 1,
            id: "a",
            replay_of: None,
            meta: String::new(),
            base: 1,
        }
    }

    /// A replay. Its service times differ by a random factor with the coefficient of variation `jitter`.
    pub fn replay(&self, seed: u64, jitter: f64) -> Self {
        let mut random = Random::new(seed);
        let mut replay = self.clone();
        for request in &mut replay.requests {
            request.lateness = Some(0.05);
            for (service, _) in &mut request.calls {
                *service *= random.lognormal(1.0, jitter);
            }
        }
        replay.id = "b";
        replay.replay_of = Some(self.id);
        replay.base = self.base + 1_000_000;
        replay
    }

    /// Changes each service time at `back`.
    pub fn with_services(mut self, change: impl Fn(f64) -> f64) -> Self {
        for (service, _) in self.requests.iter_mut().flat_map(|request| &mut request.calls) {
            *service = change(*service);
        }
        self
    }

    /// Writes the folder into `logs`. Its name is the id of the run.
    pub fn write(&self, logs: &Path) -> PathBuf {
        let folder = logs.join(self.id);
        let cctf = folder.join("cctf");
        fs::create_dir_all(&cctf).unwrap();
        let (invocations, calls) = self.rows();
        for (file, text) in [
            ("invocations.jsonl", invocations.as_str()),
            ("calls.jsonl", calls.as_str()),
            ("host_metrics.jsonl", ""),
            ("link_metrics.jsonl", ""),
            ("placement_events.jsonl", ""),
            ("system_stats.jsonl", ""),
            ("nodes.json", "[]"),
            ("links.json", "[]"),
            ("module_inventory.json", &self.inventory()),
            ("run_meta.json", &self.meta()),
        ] {
            fs::write(cctf.join(file), text).unwrap();
        }
        folder
    }

    fn inventory(&self) -> String {
        let module = |name: &str, slots: u64| {
            format!(
                r#"{{"app_id":null,"module_id":"{name}","name":"{name}","type":"MODULE","resources":null,"instances":[{{"instance_id":"{name}-1","node_id":"n","workers":{slots},"queue_limit":10000,"slot_policy":"held","slots_src":"told"}}]}}"#
            )
        };
        format!("[{},{}]", module("front", 10_000), module("back", self.slots))
    }

    fn meta(&self) -> String {
        let replay = self
            .replay_of
            .map_or_else(String::new, |run| format!(r#""replay_of":"{run}","#))
            + &self.meta;
        format!(
            r#"{{"run_id":"{}","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,{replay}"cctf_version":"1","normalizer_version":"0.1.0","started_ts":{},"ended_ts":{},"time_base":"unix_utc","counts":{{"spans":7,"points":0,"logs":0,"rows":{{}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#,
            self.id,
            stamp(0.0),
            stamp(1e6),
        )
    }

    /// Simulates all requests. `back` has a first-come queue.
    fn rows(&self) -> (String, String) {
        let (mut invocations, mut calls) = (String::new(), String::new());
        let mut free = vec![0.0_f64; self.slots as usize];
        // Calls to `back` in the order of arrival: time, request, and position among the calls of the request.
        let mut arrivals: Vec<(f64, usize, usize)> = Vec::new();
        for (number, request) in self.requests.iter().enumerate() {
            let called = request.at + NETWORK + FRONT[0] + request.database;
            arrivals.push((called + NETWORK, number, 0));
        }
        arrivals.sort_by(|left, right| right.0.total_cmp(&left.0));
        while let Some((at, number, place)) = arrivals.pop() {
            let request = &self.requests[number];
            let row = Row {
                trace: self.base + number as u64,
                chain: self,
                request,
            };
            let end = match request.calls.get(place) {
                None => at - NETWORK,
                Some(&(service, status)) => {
                    let slot = (0..free.len())
                        .min_by(|a, b| free[*a].total_cmp(&free[*b]))
                        .unwrap();
                    let start = at.max(free[slot]) + request.wakeup;
                    let end = start + service + request.cpu_wait.unwrap_or(0.0);
                    free[slot] = end;
                    if request.is_recorded {
                        row.back(&mut invocations, place, [at, start, end], status);
                        row.call(&mut calls, place, [at - NETWORK, end + NETWORK], status);
                    }
                    end + NETWORK
                }
            };
            if place + 1 < request.calls.len() {
                let next = (end + NETWORK, number, place + 1);
                let after = arrivals.partition_point(|arrival| arrival.0 > next.0);
                arrivals.insert(after, next);
            } else if request.is_recorded {
                if request.database > 0.0 {
                    row.database(&mut calls);
                }
                row.front(&mut invocations, end + FRONT[1]);
                row.root(&mut calls, end + FRONT[1] + NETWORK);
            }
        }
        (invocations, calls)
    }
}

/// The ids and times of one request.
struct Row<'c> {
    trace: u64,
    chain: &'c Chain,
    request: &'c Request,
}

impl Row<'_> {
    fn root(&self, calls: &mut String, end: f64) {
        let mut extra = String::new();
        if self.chain.replay_of.is_some() {
            let original = self.request.original as u64 + 1;
            let _ = write!(
                extra,
                r#","replay_of_trace_id":"{original:032x}","replay_of_span_id":"{:016x}""#,
                1
            );
        }
        if let Some(lateness) = self.request.lateness {
            let _ = write!(extra, r#","lateness_ms":{lateness:.6}"#);
        }
        let _ = writeln!(
            calls,
            r#"{{"trace_id":"{:032x}","span_id":"{:016x}","parent_span_id":null,"ancestor_id":null,"module_id":"driver","instance_id":"d","node":"d","stage":"edge","ts_start":{},"ts_end":{},"method":"GET","path":"/","bytes_out":0,"bytes_in":10,"status":{},"kind":"client","protocol":"http","peer":"front:80","peer_module":"front"{extra}}}"#,
            self.trace,
            1,
            stamp(self.request.at),
            stamp(end),
            self.request.status,
        );
    }

    fn front(&self, invocations: &mut String, end: f64) {
        let enqueue = self.request.at + NETWORK;
        let id = Ids {
            span: 2,
            caller: 1,
            parent: None,
        };
        self.invocation(
            invocations,
            "front",
            &id,
            [enqueue, enqueue, end],
            self.request.status,
        );
    }

    fn back(&self, invocations: &mut String, place: usize, times: [f64; 3], status: u16) {
        let id = Ids {
            span: 100 + place,
            caller: 10 + place,
            parent: Some(2),
        };
        self.invocation(invocations, "back", &id, times, status);
    }

    fn invocation(
        &self,
        out: &mut String,
        module: &str,
        id: &Ids,
        [enqueue, start, end]: [f64; 3],
        status: u16,
    ) {
        let parent = id
            .parent
            .map_or_else(|| "null".to_owned(), |parent| format!("\"{parent:016x}\""));
        let wakeup = match module {
            "back" => self.request.wakeup,
            _ => 0.0,
        };
        let cpu_wait = self.request.cpu_wait.filter(|_| module == "back");
        let path = match module {
            "back" => self.request.path,
            _ => self.request.front,
        };
        // The CPU time is half of the own time.
        let cpu = match module {
            "front" => ns(FRONT[0] + FRONT[1]) / 2,
            _ => ns(end - start - cpu_wait.unwrap_or(0.0)) / 2,
        };
        // Durations are differences of rounded times.
        let [enqueue, start, end] = [enqueue, start, end].map(ns);
        let ms = |ns: u64| format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000);
        let cpu_wait =
            cpu_wait.map_or_else(String::new, |wait| format!(r#""cpu_wait_ms":{},"#, ms(ns(wait))));
        let _ = writeln!(
            out,
            r#"{{"trace_id":"{:032x}","span_id":"{:016x}","parent_id":{parent},"parent_span_id":"{:016x}","module_id":"{module}","instance_id":"{module}-1","ts_enqueue":{},"ts_start":{},"ts_end":{},"node":"n","stage":"edge","method":"GET","path":"{path}","bytes_in":0,"bytes_out":10,"cpu_time_ms":{},"queue_time_ms":{},"service_time_ms":{},"rt_ms":{},"status":{status},"protocol":"http","downstream_ms":null,{cpu_wait}"wakeup_ms":{},"kind":"server","caller_span_id":"{:016x}","net_ms":{}}}"#,
            self.trace,
            id.span,
            id.caller,
            ms(T0 + enqueue),
            ms(T0 + start),
            ms(T0 + end),
            ms(cpu),
            ms(start - enqueue),
            ms(end - start),
            ms(end - enqueue),
            ms(ns(wakeup)),
            id.caller,
            ms(ns(2.0 * NETWORK)),
        );
    }

    fn database(&self, calls: &mut String) {
        let start = self.request.at + NETWORK + FRONT[0];
        let _ = writeln!(
            calls,
            r#"{{"trace_id":"{:032x}","span_id":"{:016x}","parent_span_id":"{:016x}","ancestor_id":"{:016x}","module_id":"front","instance_id":"front-1","node":"n","stage":"edge","ts_start":{},"ts_end":{},"method":"SELECT","path":"orders","bytes_out":null,"bytes_in":null,"status":null,"kind":"client","protocol":"db","peer":"postgresql"}}"#,
            self.trace,
            9,
            2,
            2,
            stamp(start),
            stamp(start + self.request.database),
        );
    }

    fn call(&self, calls: &mut String, place: usize, [start, end]: [f64; 2], status: u16) {
        let _ = writeln!(
            calls,
            r#"{{"trace_id":"{:032x}","span_id":"{:016x}","parent_span_id":"{:016x}","ancestor_id":"{:016x}","module_id":"front","instance_id":"front-1","node":"n","stage":"edge","ts_start":{},"ts_end":{},"method":"GET","path":"{}","bytes_out":0,"bytes_in":10,"status":{status},"kind":"client","protocol":"http","peer":"back:80","peer_module":"back","resend_count":{place}}}"#,
            self.trace,
            10 + place,
            2,
            2,
            stamp(start),
            stamp(end),
            self.request.path,
        );
    }
}

struct Ids {
    span: usize,
    caller: usize,
    parent: Option<usize>,
}

fn ns(ms: f64) -> u64 {
    (ms * NS_PER_MS).round() as u64
}

/// The timestamp `ms` after the start.
fn stamp(ms: f64) -> String {
    let ns = T0 + ns(ms);
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

/// Compares two folders.
pub fn compare_folders(a: &Path, b: &Path) -> Comparison {
    let [a, b] = [a, b].map(|path| Target::Folder(path.to_owned()).find().unwrap().unwrap());
    let options = Options {
        margins: Margins::default(),
        threads: 2,
    };
    compare::compare([(&a.0, &a.1), (&b.0, &b.1)], &options, &mut |_| {}).unwrap()
}

/// Writes and compares two runs.
pub fn compare_runs(a: &Chain, b: &Chain) -> Comparison {
    let logs = tempfile::tempdir().unwrap();
    compare_folders(&a.write(logs.path()), &b.write(logs.path()))
}
