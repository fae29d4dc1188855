//! [`synthetic`]: a run with every kind of dependence: branches, a quorum, retries, timeouts, refusals, failures that others
//! cause, messages, and calls after the answer.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const EPOCH_NS: i64 = 1_790_000_000_000_000_000;
const ROOTS: usize = 400;
/// Mean time between the starts of two roots.
const GAP_NS: f64 = 900_000.0;
/// Module, number of slots, policy and queue limit.
const MODULES: [(&str, &str, &str, &str); 4] = [
    ("front", "4", "held", r#","queue_limit":6"#),
    ("orders", "2", "released", ""),
    ("stock", "2", "held", r#","queue_limit":3"#),
    ("mail", "null", "held", ""),
];
/// Number of endpoints of the front module.
const KINDS: u64 = 6;

/// Writes the run. Its times need not be possible with its slots, because both simulators compute the times.
pub fn synthetic(run: &Path, seed: u64) {
    let mut rows = Rows {
        random: seed.wrapping_add(1),
        ..Rows::default()
    };
    let mut at = EPOCH_NS;
    for _ in 0..ROOTS {
        at += rows.exponential(GAP_NS);
        rows.root(at);
    }
    rows.write(run);
}

#[derive(Default)]
struct Rows {
    random: u64,
    ids: u64,
    trace: u64,
    invocations: String,
    calls: String,
    counts: [usize; 2],
    last: i64,
}

/// The times and the result of an invocation.
#[derive(Clone, Copy, Default)]
struct Made {
    id: u64,
    start: i64,
    end: i64,
    is_failed: bool,
}

impl Rows {
    fn next(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed ^ (mixed >> 31)
    }

    fn exponential(&mut self, mean: f64) -> i64 {
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        ((-(1.0 - uniform).ln() * mean) as i64).max(1)
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.next().is_multiple_of(times)
    }

    fn id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }

    /// A request from outside, with or without its call.
    fn root(&mut self, at: i64) {
        self.trace += 1;
        let call = (!self.trace.is_multiple_of(5)).then(|| self.id());
        let id = self.id();
        let kind = self.next() % KINDS;
        let made = self.front(id, kind, at, call);
        if let Some(call) = call {
            let client = Made {
                id: call,
                start: at - 80_000,
                end: made.end + 70_000,
                is_failed: made.is_failed,
            };
            self.call(client, None, "driver", "front", "");
        }
    }

    fn front(&mut self, id: u64, kind: u64, at: i64, caller: Option<u64>) -> Made {
        let start = at + self.wait();
        let begin = start + self.exponential(300_000.0);
        let mut answer = begin;
        let mut is_failed = false;
        match kind {
            // The calls follow each other.
            0 => {
                for module in ["orders", "stock"] {
                    answer = self.request(id, answer, module, "/one").end + self.exponential(200_000.0);
                }
            }
            // Three calls start together. The answer waits for two of them.
            1 => {
                let mut ends: Vec<i64> = (0..3)
                    .map(|branch| self.request(id, begin + branch * 1_000, "stock", "/any").end)
                    .collect();
                ends.sort_unstable();
                answer = ends[1] + 60_000 + self.exponential(30_000.0);
            }
            // The first attempt fails for some requests, and is then repeated.
            2 => {
                let first = self.attempt(id, begin, "");
                answer = first.end;
                if first.is_failed {
                    let begin = answer + self.exponential(100_000.0);
                    let second = self.attempt(id, begin, r#","resend_count":1"#);
                    (answer, is_failed) = (second.end, second.is_failed);
                }
            }
            // The caller stops waiting for its call, and fails because of it.
            3 => {
                let callee = self.request_for(id, begin, "orders", "/slow", self.trace.is_multiple_of(2));
                (answer, is_failed) = (callee.end, callee.is_failed);
            }
            // A message, and a call after the answer.
            4 => {
                self.message(id, begin);
                answer = begin + 250_000;
            }
            _ => {}
        }
        let end = answer.max(begin) + self.exponential(200_000.0);
        let made = Made {
            id,
            start,
            end,
            is_failed,
        };
        self.invocation(made, at, "front", &format!("/kind{kind}"), None, caller);
        if kind == 4 {
            let begin = end + self.exponential(150_000.0);
            self.request(id, begin, "stock", "/late");
        }
        made
    }

    /// Time until a request starts. Most requests find a free slot, whose thread has to wake up.
    fn wait(&mut self) -> i64 {
        match self.once_in(4) {
            true => self.exponential(400_000.0),
            false => 20_000 + self.exponential(20_000.0),
        }
    }

    fn request(&mut self, parent: u64, start: i64, module: &str, path: &str) -> Made {
        self.request_for(parent, start, module, path, false)
    }

    /// A call, and the invocation that answers it. Returns the call.
    fn request_for(&mut self, parent: u64, start: i64, module: &str, path: &str, gives_up: bool) -> Made {
        let (call, id) = (self.id(), self.id());
        let at = start + 50_000;
        let begin = at + self.wait();
        let mut end = begin + self.exponential(1_200_000.0);
        if module == "orders" {
            // The slot is released during this call.
            end = self.request(id, end, "stock", "/below").end + self.exponential(100_000.0);
        }
        let is_refused = module == "stock" && path == "/one" && self.once_in(12);
        let callee = match is_refused {
            true => Made {
                id,
                start: at,
                end: at,
                is_failed: true,
            },
            false => Made {
                id,
                start: begin,
                end,
                is_failed: false,
            },
        };
        self.invocation(callee, at, module, path, Some(parent), Some(call));
        let made = Made {
            id: call,
            start,
            end: if gives_up {
                begin.max(end - 100_000)
            } else {
                callee.end + 50_000
            },
            is_failed: is_refused || gives_up,
        };
        self.call(
            made,
            Some(parent),
            "front",
            module,
            if gives_up {
                r#","error_type":"timeout""#
            } else {
                ""
            },
        );
        made
    }

    /// An attempt. Sometimes it fails by itself.
    fn attempt(&mut self, parent: u64, start: i64, resend: &str) -> Made {
        let (call, id) = (self.id(), self.id());
        let at = start + 50_000;
        let begin = at + self.wait();
        let callee = Made {
            id,
            start: begin,
            end: begin + self.exponential(700_000.0),
            is_failed: resend.is_empty() && self.once_in(3),
        };
        self.invocation(callee, at, "stock", "/attempt", Some(parent), Some(call));
        let made = Made {
            id: call,
            start,
            end: callee.end + 50_000,
            ..callee
        };
        self.call(made, Some(parent), "front", "stock", resend);
        made
    }

    fn message(&mut self, parent: u64, start: i64) {
        let (call, id) = (self.id(), self.id());
        let sent = Made {
            id: call,
            start,
            end: start + 100_000,
            is_failed: false,
        };
        self.call(sent, Some(parent), "front", "mail", "");
        let at = sent.end + self.exponential(300_000.0);
        let end = at + self.exponential(900_000.0);
        self.invocation(
            Made {
                id,
                start: at,
                end,
                is_failed: false,
            },
            at,
            "mail",
            "/send",
            Some(parent),
            Some(call),
        );
    }

    fn invocation(
        &mut self,
        made: Made,
        at: i64,
        module: &str,
        path: &str,
        parent: Option<u64>,
        caller: Option<u64>,
    ) {
        let is_refused = made.is_failed && made.start == made.end;
        let has_queue = module != "mail" && !is_refused;
        let queue = made.start - at;
        let wakeup = if queue < 120_000 { queue } else { 15_000 };
        let cpu = (made.end - made.start) / 5;
        let above = caller.or(parent);
        let bytes = 100 + self.next() % 10_000;
        let row = format!(
            r#"{{"trace_id":"{trace:032x}","span_id":"{id:016x}","parent_id":{parent},"parent_span_id":{above},"module_id":"{module}","instance_id":"{module}-1","ts_enqueue":{enqueue},"ts_start":{start},"ts_end":{end},"node":"n{node}","stage":"edge","method":"POST","path":"{path}","bytes_in":{bytes},"bytes_out":20,"cpu_time_ms":{cpu},"queue_time_ms":{queue},"service_time_ms":{service},"rt_ms":{response},"status":{status},{error}"downstream_ms":null,{wakeup}{slot_wait}"kind":"{kind}"{caller}}}"#,
            trace = self.trace,
            id = made.id,
            parent = quoted(parent),
            above = quoted(above),
            enqueue = ms(at),
            start = ms(made.start),
            end = ms(made.end),
            node = u8::from(module == "stock"),
            cpu = if is_refused { "null".to_owned() } else { ms(cpu) },
            queue = if has_queue { ms(queue) } else { "null".to_owned() },
            service = ms(made.end - made.start),
            response = ms(made.end - at),
            status = match made.is_failed {
                true => 503 - i32::from(!is_refused) * 3,
                false => 200,
            },
            error = if made.is_failed {
                r#""error_type":"x","#
            } else {
                ""
            },
            wakeup = if has_queue {
                format!(r#""wakeup_ms":{},"#, ms(wakeup))
            } else {
                String::new()
            },
            slot_wait = if module == "orders" {
                r#""slot_wait_ms":0.030000,"#
            } else {
                ""
            },
            kind = if module == "mail" { "consumer" } else { "server" },
            caller = caller.map_or(String::new(), |id| format!(r#","caller_span_id":"{id:016x}""#)),
        );
        self.invocations += &(row + "\n");
        self.counts[0] += 1;
        self.last = self.last.max(made.end);
    }

    fn call(&mut self, made: Made, ancestor: Option<u64>, module: &str, to: &str, more: &str) {
        let row = format!(
            r#"{{"trace_id":"{trace:032x}","span_id":"{id:016x}","parent_span_id":{above},"ancestor_id":{above},"module_id":"{module}","instance_id":"{module}-1","node":"n0","stage":"edge","ts_start":{start},"ts_end":{end},"method":"POST","path":"/{to}","bytes_out":100,"bytes_in":20,"status":{status},"kind":"{kind}","peer_module":"{to}"{more}}}"#,
            trace = self.trace,
            id = made.id,
            above = quoted(ancestor),
            start = ms(made.start),
            end = ms(made.end),
            status = match (made.is_failed, more.contains("timeout")) {
                (_, true) => "null",
                (true, false) => "503",
                (false, false) => "200",
            },
            kind = if to == "mail" { "producer" } else { "client" },
        );
        self.calls += &(row + "\n");
        self.counts[1] += 1;
        self.last = self.last.max(made.end);
    }

    fn write(&self, run: &Path) {
        let folder = run.join("cctf");
        fs::create_dir_all(&folder).unwrap();
        let mut modules = String::new();
        for (module, workers, policy, limit) in MODULES {
            let slots = match workers {
                "null" => String::new(),
                _ => format!(r#"{limit},"slot_policy":"{policy}","slots_src":"told""#),
            };
            let comma = if modules.is_empty() { "" } else { ",\n" };
            let node = u8::from(module == "stock");
            write!(modules, r#"{comma}{{"app_id":null,"module_id":"{module}","name":"{module}","type":"MODULE","resources":null,"instances":[{{"instance_id":"{module}-1","node_id":"n{node}","workers":{workers}{slots}}}]}}"#).unwrap();
        }
        let node = |number: u8| {
            format!(
                r#"{{"node_id":"n{number}","stage":"edge","cpu_cores":4,"mem_mb":null,"cpu_score":1000.0}}"#
            )
        };
        let link = |from: u8, to: u8| {
            format!(r#"{{"u":"n{from}","v":"n{to}","BW_bps":100000000.0,"PR_s":0.0001,"src":"estimated"}}"#)
        };
        let meta = format!(
            r#"{{"run_id":"synthetic","rate":null,"duration":null,"scen":null,"img":null,"git_sha":null,"workers":null,"cctf_version":"1","normalizer_version":"0","started_ts":{},"ended_ts":{},"time_base":"unix_utc","counts":{{"spans":0,"points":0,"logs":0,"rows":{{}},"duplicates":0,"orphans":0,"late":0,"unknown_node":0,"rejected":{{}}}}}}"#,
            ms(EPOCH_NS),
            ms(self.last),
        );
        for (name, text) in [
            ("invocations.jsonl", self.invocations.as_str()),
            ("calls.jsonl", &self.calls),
            ("host_metrics.jsonl", ""),
            ("link_metrics.jsonl", ""),
            ("placement_events.jsonl", ""),
            ("system_stats.jsonl", ""),
            ("nodes.json", &format!("[\n{},\n{}\n]\n", node(0), node(1))),
            ("links.json", &format!("[\n{},\n{}\n]\n", link(0, 1), link(1, 0))),
            ("module_inventory.json", &format!("[\n{modules}\n]\n")),
            ("run_meta.json", &format!("{meta}\n")),
        ] {
            fs::write(folder.join(name), text).unwrap();
        }
    }
}

fn ms(ns: i64) -> String {
    format!("{}.{:06}", ns / 1_000_000, ns % 1_000_000)
}

fn quoted(id: Option<u64>) -> String {
    id.map_or("null".to_owned(), |id| format!("\"{id:016x}\""))
}
