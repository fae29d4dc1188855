//! Writes folders of one run as normalizers of three tiers would, to be merged: what `make bench` measures `cctf merge` with.
//!
//! `shards OUT MIB` writes `OUT/tier0` to `OUT/tier2` with about so many MiB of lines together. Each trace is a request
//! through three services: on every tier an invocation, and on all but the last a call. Callers are in other folders, so
//! that all but the first tier's invocations are orphans.

use std::fs;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::Context;
use cctf_proto::cctf::{
    Call, Counters, Counts, File, Flag, Flags, Invocation, Milliseconds, Module, ModuleType, Node,
    PlacementEvent, PlacementKind, Row, RunMeta, SpanId, SpanKind, Stage, Text, TraceId,
};

const TIERS: [(&str, Stage); 3] = [
    ("endpoint0", Stage::Endpoint),
    ("edge0", Stage::Edge),
    ("cloud0", Stage::Cloud),
];
const BEGIN_NS: i64 = 1_760_000_000_000_000_000;
/// Between two requests.
const PERIOD_NS: i64 = 100_000;
/// Rows of one tier are written so much out of order, as they wait for their callers.
const DISORDER: u64 = 64;

fn main() -> anyhow::Result<()> {
    let mut args = std::env::args().skip(1);
    let (Some(out), Some(mib)) = (args.next(), args.next()) else {
        anyhow::bail!("shards OUT MIB");
    };
    let wanted = mib.parse::<u64>().context("MIB")? << 20;
    let mut tiers = Vec::new();
    for tier in 0..TIERS.len() {
        tiers.push(Tier::create(&Path::new(&out).join(format!("tier{tier}")), tier)?);
    }
    let mut trace = 0;
    while tiers.iter().map(|tier| tier.bytes).sum::<u64>() < wanted {
        // Within a stretch the order is turned round.
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

/// Spread evenly, and the same every time.
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
        let (tier, (node, stage)) = (self.number, TIERS[self.number]);
        let noise = (mixed(number ^ 77) % 500_000) as i64;
        let begin = BEGIN_NS + number as i64 * PERIOD_NS + tier as i64 * 2_000_000;
        let end = begin + (TIERS.len() - tier) as i64 * 6_000_000 + noise;
        let at = Milliseconds::from_ns;
        let size = 1000 + mixed(number) % 50_000;
        let (module, instance) = (format!("shop-{node}"), format!("shop-{node}-1"));
        let parent = (tier > 0).then(|| span_id(number, tier - 1, true));
        let invocation = Invocation {
            trace_id: trace_id(number),
            span_id: span_id(number, tier, false),
            parent_id: None,
            parent_span_id: parent,
            module_id: module.as_str().into(),
            instance_id: instance.as_str().into(),
            ts_enqueue: at(begin),
            ts_start: at(begin + 20_000),
            ts_end: at(end),
            node: node.into(),
            stage,
            method: Some("POST".into()),
            path: Some("/work".into()),
            bytes_in: Some(size),
            bytes_out: Some(64),
            cpu_time_ms: Some(at(700_000 + noise)),
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
        };
        self.line.clear();
        Row::encode(&invocation, &mut self.line);
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.rows[0] += 1;
        self.invocations.write_all(&self.line)?;
        if tier + 1 == TIERS.len() {
            return Ok(());
        }
        let peer = format!("{}:8080", TIERS[tier + 1].0);
        let call = Call {
            trace_id: invocation.trace_id,
            span_id: span_id(number, tier, true),
            parent_span_id: Some(invocation.span_id),
            ancestor_id: Some(invocation.span_id),
            module_id: module.as_str().into(),
            instance_id: instance.as_str().into(),
            node: node.into(),
            stage,
            ts_start: at(begin + 1_000_000),
            ts_end: at(end - 100_000 + (size * 160) as i64),
            method: Some("POST".into()),
            path: Some("/work".into()),
            bytes_out: Some(size),
            bytes_in: Some(64),
            status: Some(200),
            kind: Some(SpanKind::Client),
            protocol: Some("http".into()),
            name: None,
            peer: Some(peer.as_str().into()),
            peer_module: None,
            resend_count: None,
            session_id: None,
            error_type: None,
            flags: None,
        };
        self.line.clear();
        Row::encode(&call, &mut self.line);
        self.line.push(b'\n');
        self.bytes += self.line.len() as u64;
        self.rows[1] += 1;
        self.calls.write_all(&self.line)?;
        Ok(())
    }

    fn finish(mut self, end: Milliseconds) -> anyhow::Result<()> {
        self.invocations.flush()?;
        self.calls.flush()?;
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
        fs::write(self.cctf.join(File::ModuleInventory.name()), &modules)?;
        let [invocations, calls] = self.rows;
        let rows = [
            (File::Invocations, invocations),
            (File::Calls, calls),
            (File::PlacementEvents, 1),
        ];
        let meta = RunMeta {
            run_id: "bench".into(),
            rate: None,
            duration: None,
            scen: None,
            img: None,
            git_sha: None,
            workers: None,
            endpoint: None,
            target: None,
            payload_bytes: None,
            replay_of: None,
            seed: None,
            part: None,
            clocks_aligned: None,
            join_window_ms: None,
            stale_after_ms: None,
            cctf_version: "1".into(),
            normalizer_version: Text::from("0"),
            started_ts: begin,
            ended_ts: Some(end),
            time_base: "unix_utc".into(),
            counts: Counts {
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
            },
        };
        let mut line = Vec::new();
        meta.encode(&mut line);
        line.push(b'\n');
        fs::write(self.cctf.join(File::RunMeta.name()), line)?;
        Ok(())
    }
}
