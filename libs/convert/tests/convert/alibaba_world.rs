//! A generator of Alibaba's call graphs after their specification, with the faults that are published, and the truth beside them.
//!
//! Sources: the descriptions of both data sets, and the issues 121 to 124 and 135 of the repository alibaba/clusterdata; Huye, Liu and
//! Sambasivan, "Systemizing and Mitigating Topological Inconsistencies in Alibaba's Microservice Call-graph Datasets" (ICPE 2024).

use std::collections::BTreeMap;
use std::fmt::Write as _;

#[path = "alibaba_faults.rs"]
mod faults;

/// A release of the data set, with the shares of traces that are published.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Release {
    pub year: u16,
    /// Shares of traces that a reader true to the specification rebuilds without an error (58.32% and 86.42%), and that names repair
    /// in addition (CASPER: 83.82% and 98.6%). Huye et al., abstract.
    pub by_specification: f64,
    pub by_names: f64,
    /// Share of traces with a row of their entry. A user of 2021 counted about a million of nine million; in 2022, the rpc id 0 is the
    /// user's call.
    pub with_entry: f64,
    /// Whether each level of calls has modules of its own, two of them. Otherwise any module calls any other.
    pub is_layered: bool,
}

pub const RELEASES: [Release; 2] = [
    Release {
        year: 2021,
        by_specification: 0.5832,
        by_names: 0.8382,
        with_entry: 1.0 / 9.0,
        is_layered: false,
    },
    Release {
        year: 2022,
        by_specification: 0.8642,
        by_names: 0.986,
        with_entry: 1.0,
        is_layered: false,
    },
];

/// Shares of calls with faults that do not change who called whom. They are assumed: nobody has published them.
const ONE_SIDE_LOST: f64 = 0.03;
const ONE_NAME_LOST: f64 = 0.01;
/// Share of calls whose callee recorded a longer time than the caller.
const CONTRADICTING: f64 = 0.005;

/// Number of modules that make calls.
const MODULES: u64 = 300;
/// Number of databases and caches, which only answer calls.
const STORES: u64 = 40;
const CALLS_MAX: usize = 40;
const DEPTH_MAX: usize = 6;
/// Length of the recording, ms.
const RECORDED_MS: u64 = 43_200_000;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    pub fn chance(&mut self, share: f64) -> bool {
        ((self.next() >> 11) as f64) < share * (1_u64 << 53) as f64
    }
}

/// A call, and the invocation that it causes.
#[derive(Debug, Clone)]
pub struct Node {
    pub parent: Option<usize>,
    pub children: Vec<usize>,
    pub depth: usize,
    pub module: u64,
    pub instance: u64,
    pub kind: &'static str,
    pub interface: u64,
    pub rpc_id: String,
    /// As the caller and as the callee saw it, microseconds.
    pub caller: (u64, u64),
    pub callee: (u64, u64),
    /// Whether both its rows are lost.
    pub is_lost: bool,
    /// Whether the name of the callee is missing in both rows.
    pub is_nameless: bool,
}

impl Node {
    /// Whether the callee makes calls, and both sides record the call.
    pub fn is_remote(&self) -> bool {
        matches!(self.kind, "rpc" | "http")
    }
}

/// A row of the call graph.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Row {
    pub trace: String,
    pub rpc_id: String,
    pub kind: &'static str,
    pub um: String,
    pub um_instance: String,
    pub dm: String,
    pub dm_instance: String,
    pub interface: String,
    pub begin_ms: u64,
    pub rt_ms: i64,
}

/// Rows, and the true tree of calls of each trace.
pub struct World {
    pub rows: Vec<Row>,
    pub truth: BTreeMap<String, String>,
}

/// A tree of calls as a text: a module, and in brackets the modules that it called, sorted.
pub fn canonical(module: &str, mut called: Vec<String>) -> String {
    called.sort();
    format!("{module}({})", called.join(","))
}

pub fn generate(release: &Release, traces: u64, seed: u64) -> World {
    let mut random = Random(seed);
    let mut world = World {
        rows: Vec::new(),
        truth: BTreeMap::new(),
    };
    for number in 0..traces {
        let has_entry = random.chance(release.with_entry);
        let nodes = faults::with_faults(release, has_entry, &mut random);
        let name = match release.year {
            2021 => format!("{:08x}{:022x}", random.below(1 << 32), number),
            _ => format!("T_{}", 10_000_000_000 + seed % 89 * 1_000_000_000 + number),
        };
        let begin_ms = random.below(RECORDED_MS);
        let graph = Graph {
            name: &name,
            year: release.year,
            begin_ms,
            nodes: &nodes,
        };
        graph.write(has_entry, &mut random, &mut world.rows);
        world.truth.insert(name.clone(), graph.truth(0));
    }
    // The rows of a trace are anywhere.
    for index in (1..world.rows.len()).rev() {
        let other = random.below(index as u64 + 1) as usize;
        world.rows.swap(index, other);
    }
    world
}

/// A tree of calls without faults. Node 0 is the user's call.
pub fn tree(is_layered: bool, random: &mut Random) -> Vec<Node> {
    let module_at = |depth: usize, random: &mut Random| match is_layered {
        true => 2 * depth as u64 + random.below(2),
        false => random.below(MODULES),
    };
    let entry = module_at(0, random);
    let mut nodes = vec![node(None, 0, entry, "http", "0".to_owned(), random)];
    let mut index = 0;
    while index < nodes.len() && nodes.len() < CALLS_MAX {
        let Node {
            depth, module, kind, ..
        } = nodes[index];
        if matches!(kind, "rpc" | "http" | "mq") && depth < DEPTH_MAX {
            let calls = match index {
                0 => 1 + random.below(5),
                _ => random.below(4),
            };
            for number in 1..=calls {
                let (kind, module) = match random.below(100) {
                    // A module that calls itself.
                    0 if !is_layered => ("rpc", module),
                    0..56 => ("rpc", module_at(depth + 1, random)),
                    56..62 => ("http", module_at(depth + 1, random)),
                    62..80 => ("mc", MODULES + random.below(STORES)),
                    80..94 => ("db", MODULES + random.below(STORES)),
                    _ => ("mq", module_at(depth + 1, random)),
                };
                let rpc_id = format!("{}.{number}", nodes[index].rpc_id);
                let child = node(Some(index), depth + 1, module, kind, rpc_id, random);
                let new = nodes.len();
                nodes[index].children.push(new);
                nodes.push(child);
            }
        }
        index += 1;
    }
    nodes
}

fn node(
    parent: Option<usize>,
    depth: usize,
    module: u64,
    kind: &'static str,
    rpc_id: String,
    random: &mut Random,
) -> Node {
    Node {
        parent,
        children: Vec::new(),
        depth,
        module,
        instance: random.below(3),
        kind,
        interface: random.below(9),
        rpc_id,
        caller: (0, 0),
        callee: (0, 0),
        is_lost: false,
        is_nameless: false,
    }
}

/// Sets the times of a call and of all below it. Calls follow each other or overlap; a message is handled later.
pub fn lay_out(nodes: &mut [Node], index: usize, begin_us: u64, random: &mut Random) {
    let net_us = random.below(1_500);
    let is_message = nodes[index].kind == "mq";
    let delay_us = if is_message {
        2_000 + random.below(40_000)
    } else {
        net_us
    };
    let arrived = begin_us + delay_us;
    let (mut free, mut last_begin, mut end) = (arrived + random.below(3_000), arrived, arrived);
    for child in nodes[index].children.clone() {
        let overlaps = random.chance(0.3);
        let start = if overlaps {
            last_begin + random.below(2_000)
        } else {
            free
        };
        lay_out(nodes, child, start, random);
        last_begin = start;
        // Nobody waits for the receiver of a message.
        let busy_until = match nodes[child].kind {
            "mq" => start + 500,
            _ => nodes[child].caller.1,
        };
        end = end.max(busy_until);
        free = end + random.below(2_000);
    }
    end = end.max(free) + random.below(3_000);
    nodes[index].callee = (arrived, end);
    nodes[index].caller = (begin_us, end + net_us);
}

/// A trace with its names and times.
struct Graph<'g> {
    name: &'g str,
    year: u16,
    begin_ms: u64,
    nodes: &'g [Node],
}

impl Graph<'_> {
    fn truth(&self, index: usize) -> String {
        let node = &self.nodes[index];
        let called = node.children.iter().map(|&child| self.truth(child)).collect();
        canonical(&self.module(node.module), called)
    }

    fn module(&self, module: u64) -> String {
        match self.year {
            2021 => hashed("module", module),
            _ => format!("MS_{module}"),
        }
    }

    fn instance(&self, node: &Node) -> String {
        match self.year {
            2021 => String::new(),
            _ => format!("MS_{}_POD_{}", node.module, node.instance),
        }
    }

    fn write(&self, has_entry: bool, random: &mut Random, rows: &mut Vec<Row>) {
        let missing = match self.year {
            2021 => "(?)",
            _ => "UNKNOWN",
        };
        for (index, node) in self.nodes.iter().enumerate() {
            if node.is_lost || (index == 0 && !has_entry) {
                continue;
            }
            let above = node.parent.map(|parent| &self.nodes[parent]);
            let user = if self.year == 2021 { "(?)" } else { "USER" };
            let mut row = Row {
                trace: self.name.to_owned(),
                rpc_id: node.rpc_id.clone(),
                kind: node.kind,
                um: above.map_or(user.to_owned(), |above| self.module(above.module)),
                um_instance: above.map_or(String::new(), |above| self.instance(above)),
                dm: self.module(node.module),
                dm_instance: self.instance(node),
                interface: if node.is_remote() {
                    hashed("interface", node.interface)
                } else {
                    String::new()
                },
                begin_ms: 0,
                rt_ms: 0,
            };
            if node.is_nameless {
                (row.dm, row.dm_instance) = (missing.to_owned(), String::new());
            }
            let side = |(begin_us, end_us): (u64, u64), sign: i64| {
                let ms = ((end_us - begin_us) / 1_000).cast_signed();
                (self.begin_ms + begin_us / 1_000, sign * ms)
            };
            let mut push = |(begin_ms, rt_ms), row: &Row| {
                rows.push(Row {
                    begin_ms,
                    rt_ms,
                    ..row.clone()
                });
            };
            if !node.is_remote() {
                let seen = if node.kind == "mq" {
                    node.callee
                } else {
                    node.caller
                };
                push(side(seen, 1), &row);
                continue;
            }
            let lost = random.chance(ONE_SIDE_LOST).then(|| random.below(2));
            if lost != Some(0) {
                push(side(node.caller, 1), &row);
            }
            if lost != Some(1) {
                let mut callee = side(node.callee, -1);
                if random.chance(CONTRADICTING) {
                    callee.1 -= 3;
                }
                if lost.is_none() && random.chance(ONE_NAME_LOST) {
                    row.um = missing.to_owned();
                }
                push(callee, &row);
            }
        }
    }
}

/// A name of 64 hex digits, as in 2021.
fn hashed(what: &str, number: u64) -> String {
    let mut random = Random(number ^ (what.len() as u64) << 32);
    let mut text = String::new();
    for _ in 0..4 {
        let _ = write!(text, "{:016x}", random.next());
    }
    text
}

/// The rows as a table, with the columns as in the files.
pub fn csv(year: u16, rows: &[Row]) -> String {
    let mut out = String::new();
    out += match year {
        2021 => ",traceid,timestamp,rpcid,um,rpctype,dm,interface,rt\n",
        _ => "timestamp,traceid,service,rpc_id,rpctype,um,uminstanceid,interface,dm,dminstanceid,rt\n",
    };
    for (index, row) in rows.iter().enumerate() {
        let Row {
            trace,
            rpc_id,
            kind,
            um,
            dm,
            interface,
            begin_ms,
            rt_ms,
            ..
        } = row;
        let (um_instance, dm_instance) = (&row.um_instance, &row.dm_instance);
        let _ = match year {
            2021 => writeln!(
                out,
                "{index},{trace},{begin_ms},{rpc_id},{um},{kind},{dm},{interface},{rt_ms}"
            ),
            _ => writeln!(
                out,
                "{begin_ms},{trace},S_1,{rpc_id},{kind},{um},{um_instance},{interface},{dm},{dm_instance},{rt_ms}.0"
            ),
        };
    }
    out
}
