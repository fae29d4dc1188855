//! Snapshots: nodes.json, links.json, module_inventory.json and run_meta.json of a run, made from what it has learnt.

use cctf_proto::cctf::{
    Counters, Counts, File, Link, LinkSource, Milliseconds, Module, Node, Row, RunMeta, Shape, SpanOutcomes,
    Text,
};

use super::output::Output;
use super::runs::{Phase, Run, write_row};
use super::totals::Totals;
use super::{Pipeline, Settings, ns};
use aggregate::links::{LinkStats, estimated_row, second_row};
use aggregate::under_load::slots_and_image;

/// Version of the contract.
const CCTF_VERSION: &str = "1";

impl Pipeline {
    /// Makes the snapshots of the runs that have changed.
    pub(super) fn make_snapshots(&mut self, output: &mut Output) {
        for slot in self.runs.due_for_snapshot(self.now) {
            self.make_snapshot(slot, output);
        }
    }

    /// Makes the snapshots of all runs that have changed, however lately they were made.
    pub(super) fn make_last_snapshots(&mut self, output: &mut Output) {
        for slot in self.runs.with_snapshots_behind(|_| true) {
            self.make_snapshot(slot, output);
        }
    }

    /// Closes a run: what it is still owed is written, and its end is told.
    pub(super) fn close_run(&mut self, slot: usize, output: &mut Output) {
        self.conclude_starts_of(slot, output);
        self.write_seconds(slot, u64::MAX, output);
        let run = self.runs.at(slot);
        let last = run.part.last_row_unix_ns.max(run.started());
        run.ended_unix_ns.get_or_insert(last);
        run.phase = Phase::Closed(self.now);
        run.totals_at_close = Some(self.totals.clone());
        self.make_snapshot(slot, output);
    }

    pub(super) fn make_snapshot(&mut self, slot: usize, output: &mut Output) {
        let now = self.now;
        let run = self.runs.at(slot);
        run.dirty = false;
        run.snapshot_at = now;
        let run = std::mem::replace(run, Run::placeholder());
        let sink = output.run(slot, &run.part.of);
        sink.replace(File::Nodes, array(&self.nodes_of(&run)));
        sink.replace(File::Links, array(&self.links_of(&run)));
        let modules = self.modules_of(&run);
        sink.replace(File::ModuleInventory, array(&modules));
        sink.replace(File::RunMeta, object(&self.meta_of(&run, &modules)));
        // Late rows open its files again, and each time they are to be closed.
        sink.closed |= matches!(run.phase, Phase::Closed(_));
        *self.runs.at(slot) = run;
    }

    fn meta_of<'a>(&self, run: &'a Run, modules: &'a [Module<'_>]) -> RunMeta<'a> {
        let (slots, image) = slots_and_image(modules);
        let default = Settings::default();
        let unlike = |set: u64, default| {
            let set = Milliseconds::from_unsigned_ns(set)?;
            Some(set).filter(|set| set.as_ns() as u64 != ns(default))
        };
        let told = &run.told;
        let text = |field: &'a Option<String>| field.as_deref().map(Text::from);
        RunMeta {
            run_id: run.id.as_str().into(),
            rate: told.rate,
            duration: text(&told.duration),
            scen: text(&told.scen),
            img: text(&told.img).or(image.map(Text::from)),
            git_sha: text(&told.git_sha),
            workers: told.workers.or(slots),
            endpoint: text(&told.endpoint),
            target: text(&told.target),
            payload_bytes: told.payload_bytes,
            replay_of: text(&told.replay_of),
            seed: told.seed,
            part: Some(run.part.of.number()).filter(|&number| number > 1),
            clocks_aligned: None,
            join_window_ms: unlike(self.window_ns, default.join_window),
            stale_after_ms: unlike(self.stale_ns, default.stale_after),
            cctf_version: CCTF_VERSION.into(),
            normalizer_version: env!("CARGO_PKG_VERSION").into(),
            started_ts: Milliseconds::from_ns(run.started() as i64),
            ended_ts: run.ended().map(|ns| Milliseconds::from_ns(ns as i64)),
            time_base: "unix_utc".into(),
            counts: counts_of(run, run.totals_at_close.as_ref().unwrap_or(&self.totals)),
        }
    }

    fn nodes_of(&self, run: &Run) -> Vec<Node<'_>> {
        let mut nodes: Vec<Node<'_>> = run.nodes.iter().map(|&number| self.node_row(number)).collect();
        nodes.sort_unstable_by(|left, right| left.node_id.cmp(&right.node_id));
        nodes
    }

    fn node_row(&self, number: u32) -> Node<'_> {
        let node = self.sources.node(number);
        let text = |field: &'_ Option<String>| field.clone().map(Text::from);
        Node {
            node_id: node.node.as_str().into(),
            stage: node.stage(),
            cpu_cores: node.cpu_cores,
            mem_mb: node.mem_mb,
            cpu_model: text(&node.cpu_model),
            cpu_freq_mhz: node.cpu_freq_mhz,
            mips_per_core: node.mips_per_core,
            cpu_score: node.cpu_score,
            arch: text(&node.arch),
            os: text(&node.os),
            region: text(&node.region),
            zone: text(&node.zone),
            provider: text(&node.provider),
            host_id: text(&node.host_id),
            host_name: text(&node.host_name),
            ips: (!node.ips.is_empty()).then(|| node.ips.iter().map(|ip| ip.as_str().into()).collect()),
            power_idle_w: node.power_idle_w,
            power_max_w: node.power_max_w,
            clock_offset_ms: None,
            clock_error_ms: None,
        }
    }

    fn links_of(&self, run: &Run) -> Vec<Link<'_>> {
        let name = |number: u32| self.sources.node(number).node.clone();
        let mut links: Vec<Link<'_>> = Vec::new();
        for (node, interface) in &run.interfaces {
            links.push(Link {
                u: name(*node).into(),
                v: format!("{}.net", name(*node)).into(),
                BW_bps: None,
                PR_s: None,
                src: LinkSource::Measured,
                jitter_s: None,
                samples: None,
                iface: Some(interface.clone().into()),
                fit_error_ms: None,
            });
        }
        for (&(u, v), stats) in &run.links {
            let row = estimated_row(&self.sources.node(u).node, &self.sources.node(v).node, stats);
            links.extend(row);
        }
        links.sort_unstable_by(|left, right| {
            (&left.u, &left.v, &left.iface).cmp(&(&right.u, &right.v, &right.iface))
        });
        links
    }

    /// Writes the seconds of a run's links that were opened before `opened_before`.
    pub(super) fn write_seconds(&mut self, slot: usize, opened_before: u64, output: &mut Output) {
        let mut pairs: Vec<(u32, u32)> = self.runs.at(slot).links.keys().copied().collect();
        pairs.sort_unstable();
        for pair in pairs {
            let seconds = self
                .runs
                .at(slot)
                .links
                .get_mut(&pair)
                .map(|link: &mut LinkStats| link.take_seconds(opened_before));
            // The first second since the epoch has no stamp above zero.
            for (second, calls) in seconds
                .unwrap_or_default()
                .into_iter()
                .filter(|(second, _)| *second > 0)
            {
                let (from, to) = (self.sources.node(pair.0), self.sources.node(pair.1));
                let link = format!("{}->{}", from.node, to.node);
                let ts = second * 1_000_000_000;
                let row = second_row((&from.node, from.stage()), &link, second, calls);
                write_row(self.runs.at(slot), output, slot, File::LinkMetrics, &row, ts);
            }
        }
    }
}

fn counts_of(run: &Run, totals: &Totals) -> Counts {
    let before = &run.part.totals_at_open;
    let of_spans = outcomes_of(run);
    let mut rejected = run.part.accounts.rejected.clone();
    for (reason, &count) in &totals.rejected_others {
        let since = count - before.rejected_others.get(reason).copied().unwrap_or(0);
        if since > 0 {
            *rejected.entry(reason.clone()).or_default() += since;
        }
    }
    let rejected = rejected
        .into_iter()
        .map(|(reason, count)| (reason.into_owned(), count));
    let lines = File::ALL.iter().filter(|file| file.shape() == Shape::Lines);
    Counts {
        spans: of_spans.total(),
        points: totals.points - before.points,
        logs: totals.logs - before.logs,
        rows: Counters(
            lines
                .map(|&file| (file.name().to_owned(), run.part.rows[file as usize]))
                .collect(),
        ),
        duplicates: of_spans.duplicates + totals.duplicate_points - before.duplicate_points,
        orphans: run.part.orphans,
        late: run.part.late,
        unknown_node: totals.unknown_node - before.unknown_node,
        evicted: Some(totals.evicted - before.evicted).filter(|&evicted| evicted > 0),
        rejected: Counters(rejected.collect()),
        spans_by_outcome: Some(of_spans),
    }
}

fn outcomes_of(run: &Run) -> SpanOutcomes {
    let rows = [File::Invocations, File::Calls].map(|file| run.part.rows[file as usize]);
    run.part.accounts.outcomes(rows.iter().sum())
}

/// One object a line, so that a person can read it.
fn array<'a, R: Row<'a>>(rows: &[R]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 * rows.len() + 4);
    out.extend_from_slice(b"[\n");
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(b",\n");
        }
        row.encode(&mut out);
    }
    out.extend_from_slice(if rows.is_empty() { b"]\n" } else { b"\n]\n" });
    out
}

fn object<'a, R: Row<'a>>(row: &R) -> Vec<u8> {
    let mut out = Vec::new();
    row.encode(&mut out);
    out.push(b'\n');
    out
}
