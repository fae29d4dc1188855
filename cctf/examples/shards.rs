//! Writes the folders of one run that three normalizers recorded. `make bench` and tests use them as input of `cctf merge`.
//!
//! `shards OUT MIB` writes `OUT/tier0` to `OUT/tier2`, with about MIB MiB of lines in total. Each trace is a request through
//! three services, each of which is on its own tier. Every tier has an invocation, and all but the last have a call. The caller
//! of an invocation is in another folder, so all invocations but those of the first tier are orphans.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{
    Call, Counters, Counts, File, Flag, Flags, Invocation, Milliseconds, Module, ModuleType, Node,
    PlacementEvent, PlacementKind, Row, RunMeta, SpanId, SpanKind, Stage, TraceId,
};

const TIERS: [(&str, Stage); 3] = [
    ("endpoint0", Stage::Endpoint),
    ("edge0", Stage::Edge),
    ("cloud0", Stage::Cloud),
];
const BEGIN_NS: i64 = 1_760_000_000_000_000_000;
/// Time between two requests.
const PERIOD_NS: i64 = 100_000;
/// Number of rows in a block. The order of rows in a block is reversed, because a normalizer writes rows out of order while
/// they wait for their callers.
const DISORDER: u64 = 64;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(out), Some(mib)) = (args.next(), args.next()) else {
        anyhow::bail!("shards OUT MIB");
    };
    let wanted = mib.parse::<u64>().context("MIB")? << 20;
    write(Path::new(&out), |_, bytes| bytes >= wanted)
}

/// Writes requests until `is_enough` returns true. It gets the numbers of requests and bytes that were written so far.
pub fn write(out: &Path, is_enough: impl Fn(u64, u64) -> bool) -> anyhow::Result<()> {
    let mut tiers = Vec::new();
    for tier in 0..TIERS.len() {
        tiers.push(Tier::create(&out.join(format!("tier{tier}")), tier)?);
    }
    let mut trace = 0;
    while !is_enough(trace, tiers.iter().map(|tier| tier.bytes).sum()) {
        let number = trace / DISORDER * DISORDER + (DISORDER - 1 - trace % DISORDER);
        for tier in &mut tiers {
            tier.request(number)?;
        }
        trace += 1;
    }
    let end = Milliseconds::from_ns(BEGIN_NS + trace as i64 * PERIOD_NS + 1_000_000_000);
    for tier in tiers {
        tier.finish(end)?;
    }
    Ok(())
}

struct Tier {
    cctf: std::path::PathBuf,
    number: usize,
    invocations: BufWriter<fs::File>,
    calls: BufWriter<fs::File>,
    rows: [u64; 2],
    bytes: u64,
    line: Vec<u8>,
}

/// A hash of the number, for values that are spread evenly and the same in each run.
fn mixed(number: u64) -> u64 {
    let mut mixed = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    mixed ^= mixed >> 29;
    mixed = mixed.wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^ mixed >> 32
}

fn trace_id(number: u64) -> TraceId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&mixed(number).to_be_bytes());
    id[8..].copy_from_slice(&number.to_be_bytes());
    TraceId(id)
}

fn span_id(number: u64, tier: usize, is_call: bool) -> SpanId {
    SpanId(mixed(number * 8 + tier as u64 * 2 + u64::from(is_call)).to_be_bytes())
}

/// Times and size of a request on one tier.
struct Timing {
    begin_ns: i64,
    end_ns: i64,
    noise_ns: i64,
    size_bytes: u64,
}

impl Timing {
    fn new(number: u64, tier: usize) -> Self {
        let noise_ns = (mixed(number ^ 77) % 500_000) as i64;
        let begin_ns = BEGIN_NS + number as i64 * PERIOD_NS + tier as i64 * 2_000_000;
        Self {
            begin_ns,
            end_ns: begin_ns + (TIERS.len() - tier) as i64 * 6_000_000 + noise_ns,
            noise_ns,
            size_bytes: 1000 + mixed(number) % 50_000,
        }
    }
}

impl Tier {
    fn create(run: &Path, number: usize) -> anyhow::Result<Self> {
        let cctf = run.join("cctf");
        fs::create_dir_all(&cctf)?;
        let open = |file: File| {
            fs::File::create(cctf.join(file.name())).map(|file| BufWriter::with_capacity(1 << 20, file))
        };
        let (invocations, calls) = (open(File::Invocations)?, open(File::Calls)?);
        for empty in [File::HostMetrics, File::LinkMetrics, File::SystemStats] {
            open(empty)?;
        }
        Ok(Self {
            invocations,
            calls,
            cctf,
            number,
            rows: [0; 2],
            bytes: 0,
            line: Vec::new(),
        })
    }

    fn request(&mut self, number: u64) -> anyhow::Result<()> {
        let module = format!("shop-{}", TIERS[self.number].0);
        let instance = format!("{module}-1");
        let timing = Timing::new(number, self.number);
        let invocation = self.invocation(number, &timing, &module, &instance);
        self.line.clear();
        Row::encode(&invocation, &mut self.line);
        self.line.push(b'\n');
        self.rows[0] += 1;
        self.bytes += self.line.len() as u64;
        self.invocations.write_all(&self.line)?;
        let Some((next_node, _)) = TIERS.get(self.number + 1) else {
            return Ok(());
        };
        let peer = format!("{next_node}:8080");
        let call = self.call(number, &timing, &module, &instance, &peer);
        self.line.clear();
        Row::encode(&call, &mut self.line);
        self.line.push(b'\n');
        self.rows[1] += 1;
        self.bytes += self.line.len() as u64;
        Ok(self.calls.write_all(&self.line)?)
    }

    fn invocation<'a>(
        &self,
        number: u64,
        timing: &Timing,
        module: &'a str,
        instance: &'a str,
    ) -> Invocation<'a> {
        let (tier, (node, stage)) = (self.number, TIERS[self.number]);
        let (begin, end, at) = (timing.begin_ns, timing.end_ns, Milliseconds::from_ns);
        let parent = (tier > 0).then(|| span_id(number, tier - 1, true));
        Invocation {
            trace_id: trace_id(number),
            span_id: span_id(number, tier, false),
            parent_id: None,
            parent_span_id: parent,
            module_id: module.into(),
            instance_id: instance.into(),
            ts_enqueue: at(begin),
            ts_start: at(begin + 20_000),
            ts_end: at(end),
            node: node.into(),
            stage,
            method: Some("POST".into()),
            path: Some("/work".into()),
            bytes_in: Some(timing.size_bytes),
            bytes_out: Some(64),
            cpu_time_ms: Some(at(700_000 + timing.noise_ns)),
            queue_time_ms: Some(at(20_000)),
            service_time_ms: Some(at(end - begin - 20_000)),
            rt_ms: Some(at(end - begin)),
            status: Some(200),
            pid: Some(4711),
            app_id: Some("shop".into()),
            protocol: Some("http".into()),
            route: Some("/work".into()),
            query: None,
            session_id: None,
            name: None,
            status_text: None,
            error_type: None,
            cold_start: None,
            downstream_ms: Some(at(4_000_000)),
            cpu_wait_ms: Some(at(15_000)),
            wakeup_ms: Some(at(12_000)),
            slot_wait_ms: None,
            kind: SpanKind::Server,
            caller_span_id: None,
            net_ms: None,
            links: None,
            sample_weight: None,
            flags: parent.map(|_| Flags::NONE.with(Flag::Orphan)),
        }
    }

    fn call<'a>(
        &self,
        number: u64,
        timing: &Timing,
        module: &'a str,
        instance: &'a str,
        peer: &'a str,
    ) -> Call<'a> {
        let (tier, (node, stage)) = (self.number, TIERS[self.number]);
        let invocation = Some(span_id(number, tier, false));
        let at = Milliseconds::from_ns;
        Call {
            trace_id: trace_id(number),
            span_id: span_id(number, tier, true),
            parent_span_id: invocation,
            ancestor_id: invocation,
            module_id: module.into(),
            instance_id: instance.into(),
            node: node.into(),
            stage,
            ts_start: at(timing.begin_ns + 1_000_000),
            ts_end: at(timing.end_ns - 100_000 + (timing.size_bytes * 160) as i64),
            method: Some("POST".into()),
            path: Some("/work".into()),
            bytes_out: Some(timing.size_bytes),
            bytes_in: Some(64),
            status: Some(200),
            kind: Some(SpanKind::Client),
            protocol: Some("http".into()),
            name: None,
            peer: Some(peer.into()),
            peer_module: None,
            resend_count: None,
            session_id: None,
            replay_of_trace_id: None,
            replay_of_span_id: None,
            lateness_ms: None,
            error_type: None,
            flags: None,
        }
    }

    fn finish(mut self, end: Milliseconds) -> anyhow::Result<()> {
        self.invocations.flush()?;
        self.calls.flush()?;
        self.write_inventories()?;
        let [invocations, calls] = self.rows;
        let rows = [
            (File::Invocations, invocations),
            (File::Calls, calls),
            (File::PlacementEvents, 1),
        ];
        let counts = Counts {
            spans: invocations + calls,
            points: 0,
            logs: 0,
            rows: Counters(rows.map(|(file, rows)| (file.name().to_owned(), rows)).into()),
            duplicates: 0,
            orphans: if self.number > 0 { invocations } else { 0 },
            late: 0,
            unknown_node: 0,
            evicted: None,
            rejected: Counters::default(),
            spans_by_outcome: None,
        };
        let mut line = Vec::new();
        let times = [Milliseconds::from_ns(BEGIN_NS), end];
        RunMeta::new("bench", times, counts).encode(&mut line);
        line.push(b'\n');
        Ok(fs::write(self.cctf.join(File::RunMeta.name()), line)?)
    }

    fn write_inventories(&self) -> anyhow::Result<()> {
        let (node, stage) = TIERS[self.number];
        let module = format!("shop-{node}");
        let instance = format!("{module}-1");
        let begin = Milliseconds::from_ns(BEGIN_NS);
        let start = format!(
            "{{\"ts\":{begin},\"app_id\":\"shop\",\"module_id\":\"{module}\",\"instance_id\":\"{instance}\",\"node_id\":\"{node}\",\"event\":\"start\",\"stage\":\"{}\",\"inferred\":false}}\n",
            stage.as_str()
        );
        serde_json::from_str::<PlacementEvent<'_>>(start.trim_end())
            .context(PlacementKind::Start.as_str())?;
        fs::write(self.cctf.join(File::PlacementEvents.name()), &start)?;
        let nodes = format!(
            "[{{\"node_id\":\"{node}\",\"stage\":\"{}\",\"cpu_cores\":2,\"mem_mb\":null}}]\n",
            stage.as_str()
        );
        serde_json::from_str::<Vec<Node<'_>>>(&nodes).context("nodes")?;
        fs::write(self.cctf.join(File::Nodes.name()), &nodes)?;
        fs::write(self.cctf.join(File::Links.name()), "[]\n")?;
        let modules = format!(
            "[{{\"app_id\":\"shop\",\"module_id\":\"{module}\",\"name\":\"{module}\",\"type\":\"{}\",\"resources\":null,\"instances\":[{{\"instance_id\":\"{instance}\",\"node_id\":\"{node}\",\"workers\":2}}]}}]\n",
            ModuleType::Module.as_str()
        );
        serde_json::from_str::<Vec<Module<'_>>>(&modules).context("modules")?;
        Ok(fs::write(self.cctf.join(File::ModuleInventory.name()), &modules)?)
    }
}
