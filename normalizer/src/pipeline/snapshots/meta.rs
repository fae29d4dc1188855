//! Writes run_meta.json: the facts that the driver reported about a run, and its counts.

use aggregate::under_load::slots_and_image;
use cctf_proto::cctf::{Counters, Counts, File, Milliseconds, Module, RunMeta, Shape, SpanOutcomes, Text};

use crate::pipeline::shared::Shared;
use crate::pipeline::shared::clock::ns;
use crate::pipeline::shared::run::Run;
use crate::pipeline::shared::settings::Settings;
use crate::pipeline::shared::totals::Totals;

/// Version of the contract.
const CCTF_VERSION: &str = "1";

pub fn meta_of<'a>(run: &'a Run, modules: &'a [Module<'_>], shared: &Shared) -> RunMeta<'a> {
    let (slots, image) = slots_and_image(modules);
    let default = Settings::default();
    let unlike = |set: u64, default| {
        let set = Milliseconds::from_unsigned_ns(set)?;
        Some(set).filter(|set| set.as_ns() as u64 != ns(default))
    };
    let reported = &run.reported;
    let text = |field: &'a Option<String>| field.as_deref().map(Text::from);
    RunMeta {
        run_id: run.id.as_str().into(),
        rate: reported.rate,
        duration: text(&reported.duration),
        scen: text(&reported.scen),
        img: text(&reported.img).or(image.map(Text::from)),
        git_sha: text(&reported.git_sha),
        workers: reported.workers.or(slots),
        endpoint: text(&reported.endpoint),
        target: text(&reported.target),
        payload_bytes: reported.payload_bytes,
        replay_of: text(&reported.replay_of),
        replay_speed: reported.replay_speed,
        replay_scale: reported.replay_scale,
        replay_by: text(&reported.replay_by),
        replay_from_ms: reported.replay_from_ns.and_then(Milliseconds::from_unsigned_ns),
        replay_to_ms: reported.replay_to_ns.and_then(Milliseconds::from_unsigned_ns),
        replay_limit: reported.replay_limit,
        replay_network: text(&reported.replay_network),
        simulated_by: None,
        converted_from: None,
        converted_files: None,
        converted_resolution_ms: None,
        converted_assumptions: None,
        seed: reported.seed,
        part: Some(run.part.of.number()).filter(|&number| number > 1),
        clocks_aligned: None,
        join_window_ms: unlike(shared.windows.join_ns, default.join_window),
        stale_after_ms: unlike(shared.windows.stale_ns, default.stale_after),
        cctf_version: CCTF_VERSION.into(),
        normalizer_version: env!("CARGO_PKG_VERSION").into(),
        started_ts: Milliseconds::from_ns(run.started() as i64),
        ended_ts: run.ended().map(|ns| Milliseconds::from_ns(ns as i64)),
        time_base: "unix_utc".into(),
        counts: counts_of(run, run.totals_at_close.as_ref().unwrap_or(&shared.totals)),
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
