//! A valid run, as rows that a case can change before they are written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cctf_proto::cctf::{
    Call, Counters, Counts, File, Flag, Flags, HostMetric, Invocation, Link, LinkMetric, Module, ModuleType,
    Node, PlacementEvent, PlacementKind, Row, RunMeta, Shape, SpanKind, SpanOutcomes, Stage, SystemStat,
};

use super::rows::{
    at, call, host, invocation, lasting, link, link_metric, module, node, placement, span, stat,
};

/// Text of each file.
pub type Texts = BTreeMap<File, String>;

/// The rows of a run.
pub struct Run {
    pub invocations: Vec<Invocation<'static>>,
    pub calls: Vec<Call<'static>>,
    pub hosts: Vec<HostMetric<'static>>,
    pub link_metrics: Vec<LinkMetric<'static>>,
    pub placement: Vec<PlacementEvent<'static>>,
    pub stats: Vec<SystemStat<'static>>,
    pub nodes: Vec<Node<'static>>,
    pub links: Vec<Link<'static>>,
    pub modules: Vec<Module<'static>>,
    pub meta: RunMeta<'static>,
}

fn flags(flags: &[Flag]) -> Option<Flags> {
    flags
        .iter()
        .fold(Flags::NONE, |set, &flag| set.with(flag))
        .non_empty()
}

/// The driver calls the gateway, which calls the worker, which calls a database.
fn chain() -> (Vec<Invocation<'static>>, Vec<Call<'static>>) {
    let driven = call((1, 10), "load", [0, 100]);
    let mut gateway = invocation((1, 11), "gateway", [10, 12, 90]);
    gateway.parent_span_id = Some(span(10));
    gateway.caller_span_id = Some(span(10));
    gateway.net_ms = Some(lasting(20));
    let mut onward = call((1, 12), "gateway", [20, 80]);
    onward.parent_span_id = Some(span(11));
    onward.ancestor_id = Some(span(11));
    onward.peer_module = Some("worker".into());
    let mut worker = invocation((1, 13), "worker", [30, 30, 70]);
    worker.parent_id = Some(span(11));
    worker.parent_span_id = Some(span(12));
    worker.caller_span_id = Some(span(12));
    worker.net_ms = Some(lasting(20));
    worker.downstream_ms = Some(lasting(10));
    let mut query = call((1, 14), "worker", [40, 50]);
    // Its parent is an internal span, which is in none of the files.
    query.parent_span_id = Some(span(99));
    query.ancestor_id = Some(span(13));
    (vec![gateway, worker], vec![driven, onward, query])
}

/// Rows that need flags.
fn flagged() -> (Vec<Invocation<'static>>, Vec<Call<'static>>) {
    let mut orphan = invocation((2, 20), "worker", [200, 201, 220]);
    orphan.parent_span_id = Some(span(98));
    orphan.flags = flags(&[Flag::Orphan]);
    let mut negative = invocation((3, 30), "worker", [300, 320, 315]);
    negative.kind = SpanKind::Internal;
    negative.flags = flags(&[Flag::Negative, Flag::Late]);
    let mut lost = call((4, 40), "gateway", [400, 410]);
    lost.parent_span_id = Some(span(97));
    lost.flags = flags(&[Flag::Orphan]);
    (vec![orphan, negative], vec![lost])
}

fn meta() -> RunMeta<'static> {
    let counts = Counts {
        spans: 9,
        points: 4,
        logs: 0,
        rows: Counters::default(),
        duplicates: 0,
        orphans: 0,
        late: 0,
        unknown_node: 0,
        evicted: None,
        rejected: Counters::default(),
        spans_by_outcome: None,
    };
    RunMeta {
        rate: Some(40.0),
        duration: Some("20s".into()),
        workers: Some(1),
        normalizer_version: "0.1.0".into(),
        ..RunMeta::new("good", [at(0), at(1000)], counts)
    }
}

impl Run {
    pub fn good() -> Self {
        let (mut invocations, mut calls) = chain();
        let (flagged_invocations, flagged_calls) = flagged();
        invocations.extend(flagged_invocations);
        calls.extend(flagged_calls);
        let mut placed: Vec<_> = ["load", "gateway", "worker"]
            .iter()
            .map(|module| placement(module, PlacementKind::Start, 0))
            .collect();
        // The lines need not be in any order.
        placed.insert(0, placement("worker", PlacementKind::Stop, 900));
        Self {
            invocations,
            calls,
            hosts: vec![host()],
            link_metrics: vec![
                link_metric("edge0", Stage::Edge, "edge0.nic"),
                link_metric("ep0", Stage::Endpoint, "ep0->edge0"),
            ],
            placement: placed,
            stats: vec![stat()],
            nodes: vec![
                node("ep0", Stage::Endpoint),
                node("edge0", Stage::Edge),
                node("cloud0", Stage::Cloud),
            ],
            links: vec![link("ep0", "edge0"), link("edge0", "edge0.net")],
            modules: vec![
                module("load", ModuleType::Source, Some("gateway")),
                module("gateway", ModuleType::Module, Some("worker")),
                module("worker", ModuleType::Module, Some("db")),
                module("db", ModuleType::Sink, None),
            ],
            meta: meta(),
        }
    }

    /// Sets the counts of run_meta.json to the numbers of rows.
    pub fn count(&mut self) {
        let lines = [
            (File::Invocations, self.invocations.len()),
            (File::Calls, self.calls.len()),
            (File::HostMetrics, self.hosts.len()),
            (File::LinkMetrics, self.link_metrics.len()),
            (File::PlacementEvents, self.placement.len()),
            (File::SystemStats, self.stats.len()),
        ];
        let counts = &mut self.meta.counts;
        counts.rows.0 = lines
            .iter()
            .map(|(file, lines)| (file.name().to_owned(), *lines as u64))
            .collect();
        let flags = || {
            let of_invocations = self.invocations.iter().map(|row| row.flags);
            of_invocations
                .chain(self.calls.iter().map(|row| row.flags))
                .flatten()
        };
        counts.orphans = flags().filter(|flags| flags.has(Flag::Orphan)).count() as u64;
        let rows = (self.invocations.len() + self.calls.len()) as u64;
        let outcomes = SpanOutcomes {
            rows,
            inner: 5,
            asides: 4,
            control: 3,
            duplicates: 2,
            rejected: 1,
        };
        counts.spans = outcomes.total();
        counts.spans_by_outcome = Some(outcomes);
        counts.late = flags().filter(|flags| flags.has(Flag::Late)).count() as u64;
    }

    pub fn texts(&self) -> Texts {
        Texts::from([
            text(File::Invocations, &self.invocations),
            text(File::Calls, &self.calls),
            text(File::HostMetrics, &self.hosts),
            text(File::LinkMetrics, &self.link_metrics),
            text(File::PlacementEvents, &self.placement),
            text(File::SystemStats, &self.stats),
            text(File::Nodes, &self.nodes),
            text(File::Links, &self.links),
            text(File::ModuleInventory, &self.modules),
            text(File::RunMeta, std::slice::from_ref(&self.meta)),
        ])
    }
}

fn text<'a, R: Row<'a>>(file: File, rows: &[R]) -> (File, String) {
    let encode = |row: &R| {
        let mut out = Vec::new();
        row.encode(&mut out);
        String::from_utf8(out).unwrap()
    };
    let rows: Vec<_> = rows.iter().map(encode).collect();
    let text = match file.shape() {
        Shape::Lines => rows.iter().map(|row| format!("{row}\n")).collect(),
        Shape::Array => format!("[\n{}\n]\n", rows.join(",\n")),
        Shape::Object => format!("{}\n", rows.concat()),
    };
    (file, text)
}

/// Writes the texts to the folder `cctf` of a run folder.
pub fn write(run: &Path, texts: &Texts) {
    let cctf = run.join("cctf");
    fs::create_dir_all(&cctf).unwrap();
    for (file, text) in texts {
        fs::write(cctf.join(file.name()), text).unwrap();
    }
}
