//! [`read`]: the plan of a run, with both parts of its self-check; [`read_plan`]: only the plan.

use std::collections::HashSet;
use std::num::NonZero;
use std::thread;
use std::time::Duration;

use analyze::endpoint_cpu::{Options, endpoint_cpu};
use cctf_proto::cctf::{File, Part, SpanId, TraceId};
use plan::plan::write::StationFit;
use plan::plan::{Plan, Regressed, Window};
use plan::stations::{Failures, fits, load, simulate_with};
use plan::work::{Recorded, Waited, Work};
use rundir::parts::{Run, State};

use crate::commands::display::BytesBar;

/// Trace ids and span ids of roots.
pub type RootIds = HashSet<(TraceId, SpanId)>;

/// A plan and the result of its self-check.
pub struct Whole {
    pub plan: Plan,
    /// Recorded and simulated waits of each module.
    pub fits: Vec<StationFit>,
    /// Sentences about omissions and assumptions.
    pub notes: Vec<String>,
}

/// Reads the rows of a run, or of a window of it, and makes the plan.
pub fn read(run: &Run, part: &Part, window: Window) -> anyhow::Result<Whole> {
    read_some(run, part, window, None)
}

/// Like [`read`], but only for the roots with these ids.
pub fn read_some(run: &Run, part: &Part, window: Window, only: Option<&RootIds>) -> anyhow::Result<Whole> {
    let (plan, mut notes) = planned(run, part, window, only)?;
    let fits = station_fits(&plan);
    notes.splice(0..0, plan.notes());
    if window.from > Duration::ZERO {
        notes.push(
            "requests before the window are not simulated: queues are empty at its beginning".to_owned(),
        );
    }
    Ok(Whole { plan, fits, notes })
}

/// Makes the plan. Also returns sentences about the run that the plan itself does not contain.
pub fn read_plan(run: &Run, part: &Part, window: Window) -> anyhow::Result<(Plan, Vec<String>)> {
    planned(run, part, window, None)
}

fn planned(
    run: &Run,
    part: &Part,
    window: Window,
    only: Option<&RootIds>,
) -> anyhow::Result<(Plan, Vec<String>)> {
    let bar = BytesBar::new();
    // With a window, the invocations are read three times.
    let passes = if window == Window::default() { 1 } else { 3 };
    let total = bytes_of(run, part, File::Invocations)? * passes + bytes_of(run, part, File::Calls)?;
    let found = plan::plan::read(run, part, window, &mut bar.counter("reading", total));
    bar.clear();
    let (mut recorded, span) = found?;
    if let Some(only) = only {
        for arrival in &mut recorded.arrivals {
            let trace_id = recorded.works[arrival.work as usize].trace_id;
            arrival.is_left_out = !only.contains(&(trace_id, arrival.span_id));
        }
    }
    let (regressed, mut notes) = regression(run, part, &recorded)?;
    notes.extend(open_note(run, part)?);
    Ok((Plan::new(recorded, span, &regressed), notes))
}

fn bytes_of(run: &Run, first: &Part, file: File) -> anyhow::Result<u64> {
    let parts = run.parts_from(first)?;
    let sizes = parts.iter().map(|part| run.path(part, file).metadata());
    Ok(sizes.map(|data| data.map_or(0, |data| data.len())).sum())
}

/// Mean CPU times of endpoints whose rows report none, and sentences about data that the regression lacks.
fn regression(run: &Run, part: &Part, recorded: &Recorded) -> anyhow::Result<(Regressed, Vec<String>)> {
    let mut regressed = Regressed::default();
    let lacks = |work: &Work| work.facts.cpu_ns.is_none() && work.waited != Waited::Refused;
    if !recorded.works.iter().any(lacks) {
        return Ok((regressed, Vec::new()));
    }
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let bar = BytesBar::new();
    let found = endpoint_cpu(run, part, &Options::all(threads), &mut |progress| {
        bar.show("regressing", progress.done, progress.total);
    });
    bar.clear();
    let found = found?;
    for module in found.modules {
        for endpoint in module.endpoints.into_iter().filter(|endpoint| !endpoint.is_other) {
            if let Ok(estimate) = endpoint.cpu {
                let key = (module.module_id.clone(), endpoint.method, endpoint.route);
                regressed.insert(key, (estimate.mean * 1e9).round() as i64);
            }
        }
    }
    Ok((regressed, found.notes))
}

/// A note if the run has not ended, because it can then get further rows.
fn open_note(run: &Run, first: &Part) -> anyhow::Result<Option<String>> {
    let last = run.parts_from(first)?.pop();
    let is_open = last.map_or(Ok(false), |last| {
        run.state(&last).map(|state| state == State::Open)
    })?;
    Ok(is_open.then(|| "the run has not ended: the plan has the rows written so far".to_owned()))
}

/// Recorded and simulated waits of each module. Failures are as recorded, because one different failure would change all later
/// waits.
fn station_fits(plan: &Plan) -> Vec<StationFit> {
    let has_slots = plan
        .recorded
        .names
        .instances
        .iter()
        .any(|instance| instance.station.slots.is_some());
    if !has_slots {
        return Vec::new();
    }
    let load = load(plan);
    let outcomes = simulate_with(&load, Failures::AsRecorded);
    fits(&load, &outcomes).iter().map(StationFit::new).collect()
}
