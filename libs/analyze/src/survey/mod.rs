//! Data for a report that `stats` does not have. It needs two further passes over the same lines.
//!
//! - [`lines`]: a pass; [`picks`]: selects the traces to show; [`traces`]: reads their rows.
//! - [`Survey`]: the first pass. It needs the beginning, the end and the modules of the run, and gives the timeline, the edges
//!   and the selected traces.
//! - [`Survey::finish`]: the second pass, which reads the rows of these traces.

pub mod lines;
pub mod picks;
pub mod traces;

use std::cmp::Reverse;

use rundir::ReadError;

use crate::counted::counted;
use crate::edges;
use crate::edges::collector::ChunkEdges;
use crate::edges::edge::Edge;
use crate::edges::names::Names;
use crate::edges::resolve::Edges;
use crate::stats::Stats;
use crate::stats::cells::Key;
use crate::stats::figures::Time;
use crate::stats::group::{By, Group};
use crate::stats::instances::{self, Instance};
use crate::stats::opened::Opened;
use crate::stats::row::{CallRow, InvocationRow};
use crate::stats::scan::{Damages, Kind};
use crate::timeline;
use crate::timeline::collector::{COUNTED_MAX, ChunkTimeline, Collector, ENDPOINTS_MAX, Ranks, SKETCHED_MAX};
use crate::timeline::grid::Grid;
use crate::timeline::sampled::SampledBuckets;
use crate::timeline::series::Timeline;
use crate::timeline::slot_times::SlotTimes;
use crate::trace::{Span, Trace};

use lines::{CompleteLines, pass};
use picks::{Pick, Picks, Root};
use traces::{ChunkRows, Rows, Wanted};

/// The timeline leaves out the time outside of the run if at most one in this many invocations is outside. If there are more,
/// `run_meta.json` may be wrong instead.
const OUTSIDE_MAX: u64 = 10;

/// The timeline of a run, and the traces that the next pass must read.
pub struct Survey {
    timeline: Timeline,
    edges: Edges,
    picked: Vec<(Pick, Root)>,
    notes: Vec<String>,
}

/// The results of both passes.
pub struct Surveyed {
    pub timeline: Timeline,
    /// Sorted by descending total time.
    pub edges: Vec<Edge>,
    pub traces: Vec<PickedTrace>,
    /// Sentences about missing data.
    pub notes: Vec<String>,
}

/// A selected trace.
#[derive(Debug)]
pub struct PickedTrace {
    pub pick: Pick,
    /// The invocation by which the trace was selected; a trace can have several roots. `None` if its row is invalid.
    pub root: Option<Span>,
    pub trace: Trace,
    /// Number of rows beyond the maximum, which are not in `trace`.
    pub rows_left_out: u64,
    /// Number of failed rows, including those that are left out.
    pub failed: u64,
}

/// The sums over one chunk.
#[derive(Default)]
struct Chunk {
    timeline: ChunkTimeline,
    edges: ChunkEdges,
    picks: Picks,
}

/// The sums over all chunks.
struct Sums {
    timeline: Collector,
    edges: edges::collector::Collector,
    picks: Picks,
}

/// Data that the processing of each chunk needs.
struct Context {
    grid: Grid,
    ranks: Ranks,
    names: Names,
}

impl Chunk {
    /// Skips damaged lines, because `stats` has counted them.
    fn read(kind: Kind, lines: CompleteLines<'_>, context: &Context) -> Self {
        let mut chunk = Self::default();
        match kind {
            Kind::Invocations => {
                for row in lines.filter_map(|line| InvocationRow::read(line).ok()) {
                    chunk.timeline.add(&row, context.grid, &context.ranks);
                    chunk.edges.add_invocation(&row);
                    chunk.picks.add(&row);
                }
            }
            Kind::Calls => {
                for row in lines.filter_map(|line| CallRow::read(line).ok()) {
                    chunk.edges.add_call(&row, &context.names);
                }
            }
        }
        chunk
    }
}

impl Sums {
    fn read(
        opened: &Opened,
        threads: usize,
        context: &Context,
        on_bytes: impl FnMut(u64) + Send,
    ) -> Result<Self, ReadError> {
        let mut sums = Self {
            timeline: Collector::new(context.grid),
            edges: edges::collector::Collector::default(),
            picks: Picks::default(),
        };
        let read = |kind: Kind, lines: CompleteLines<'_>| Chunk::read(kind, lines, context);
        let absorb = |chunk: Chunk| {
            sums.timeline.absorb(&chunk.timeline);
            sums.edges.absorb(chunk.edges);
            sums.picks.absorb(chunk.picks);
        };
        pass(opened, threads, read, absorb, on_bytes)?;
        Ok(sums)
    }
}

/// Computes the timeline and the edges of a run, and selects traces. All are empty for a run without rows. One wrong clock must
/// not stretch the timeline: if only a few rows are far outside of the run, the time that only they cover is left out.
///
/// # Errors
/// If a file cannot be read.
pub fn survey(
    opened: &Opened,
    stats: &Stats,
    threads: usize,
    on_bytes: impl FnMut(u64) + Send,
) -> Result<Survey, ReadError> {
    // `stats` has already counted damaged placement events.
    let instances = instances::read(&opened.run, &opened.parts, &mut Damages::default())?;
    let instances = instances.unwrap_or_default();
    let [modules, endpoints] = [By::Module, By::Endpoint].map(|by| ranked(&stats.groups, by));
    let (Some(first), Some(last)) = (stats.first_ns, stats.last_ns) else {
        return Ok(Survey {
            timeline: Timeline::default(),
            edges: Edges::new(edges::collector::Collector::default(), &Names::default()),
            picked: Vec::new(),
            notes: Vec::new(),
        });
    };
    let mut notes = Vec::new();
    let mut grid = Grid::new(first, last);
    if stats.outside > 0 && stats.outside <= stats.rows / OUTSIDE_MAX {
        grid = Grid::new(first.max(opened.clocks.begin), last.min(opened.clocks.end));
        notes.push(
            "over time, what is more than a minute outside of the run is in the first or the last interval"
                .to_owned(),
        );
    }
    let context = Context {
        grid,
        ranks: Ranks::new(&with_policy(&modules, &instances), &endpoints),
        names: Names::new(modules.iter(), &instances),
    };
    let sums = Sums::read(opened, threads, &context, on_bytes)?;
    let edges = sums.edges;
    let sampled = SampledBuckets::read(&opened.run, &opened.parts, grid)?;
    let slots = SlotTimes::new(&instances, grid);
    notes.extend(losses(&sampled, &edges, modules.len()));
    let picked = sums.picks.finish();
    if picked.is_empty() {
        notes.push("no root invocation has a response time, so no trace is shown".to_owned());
    }
    let modules = modules.into_iter().take(COUNTED_MAX);
    let endpoints = endpoints.into_iter().take(ENDPOINTS_MAX);
    Ok(Survey {
        timeline: timeline::finish(grid, sums.timeline, modules, endpoints, &sampled, &slots),
        edges: Edges::new(edges, &context.names),
        picked,
        notes,
    })
}

impl Survey {
    /// Reads the rows of the selected traces, and the rows that show who answered a call.
    ///
    /// # Errors
    /// If a file cannot be read.
    pub fn finish(
        mut self,
        opened: &Opened,
        threads: usize,
        on_bytes: impl FnMut(u64) + Send,
    ) -> Result<Surveyed, ReadError> {
        let roots = self.picked.iter().map(|(_, root)| *root).collect();
        let wanted = Wanted::new(roots, self.edges.probes());
        let mut rows = Rows::new(&wanted);
        if !wanted.is_empty() {
            let read = |kind: Kind, lines: CompleteLines<'_>| ChunkRows::read(kind, lines, &wanted);
            pass(opened, threads, read, |chunk| rows.absorb(chunk), on_bytes)?;
        }
        for (edge, module) in std::mem::take(&mut rows.answers) {
            self.edges.set_callee(edge as usize, module);
        }
        if rows.invalid > 0 {
            let one = "row of the shown traces is invalid";
            let invalid = counted(rows.invalid, one, "rows of the shown traces are invalid");
            self.notes.push(format!("{invalid}, and in none of them"));
        }
        let traces = rows.finish(&wanted).into_iter().zip(&self.picked);
        let traces = traces.map(|(found, (pick, _))| PickedTrace {
            pick: *pick,
            root: found.root,
            trace: found.trace,
            rows_left_out: found.left_out,
            failed: found.failed,
        });
        Ok(Surveyed {
            traces: traces.collect(),
            timeline: self.timeline,
            edges: self.edges.finish(),
            notes: self.notes,
        })
    }
}

/// Modules or endpoints, sorted by descending total response time. The groups for everything beyond a maximum are left out,
/// because they have no key by which rows could be found.
fn ranked(groups: &[Group], by: By) -> Vec<Key> {
    let is_it = |group: &&Group| group.by == by && !group.key.is_other;
    let mut ranked: Vec<&Group> = groups.iter().filter(is_it).collect();
    // The sort is stable: groups with equal sums stay in the order of their calls, and then of their first rows.
    ranked.sort_by_key(|group| Reverse(group.sums.of(Time::Response).sum_ns));
    ranked.into_iter().map(|group| group.key.clone()).collect()
}

/// The modules, each with whether its requests release their slot during downstream calls.
fn with_policy(modules: &[Key], instances: &[Instance]) -> Vec<(Key, bool)> {
    let is_released = |key: &Key| {
        instances.iter().any(|instance| {
            instance.is_released
                && key.module_id.as_ref() == Some(&instance.module_id)
                && key.app_id == instance.app_id
        })
    };
    let modules = modules.iter().take(COUNTED_MAX);
    modules.map(|key| (key.clone(), is_released(key))).collect()
}

fn losses(sampled: &SampledBuckets, edges: &edges::collector::Collector, modules: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if sampled.is_empty() {
        notes.push(
            "no samples of in_flight in system_stats.jsonl, so the sampled requests in the system are unknown"
                .to_owned(),
        );
    }
    let mut lost = |count: u64, one: &str, more: &str, what: &str| {
        if count > 0 {
            notes.push(format!("{} {what}", counted(count, one, more)));
        }
    };
    lost(
        sampled.beyond,
        "sample is",
        "samples are",
        "not in in_flight over time: there are too many instances",
    );
    lost(
        modules.saturating_sub(COUNTED_MAX) as u64,
        "module is",
        "modules are",
        &format!("not shown over time: only the {COUNTED_MAX} with the most response time are"),
    );
    lost(
        edges.other.calls,
        "call is",
        "calls are",
        "in one edge (other): there are too many pairs of modules and peers",
    );
    lost(
        edges.without_call,
        "invocation below another one is",
        "invocations below another one are",
        "on no edge: the row names no call",
    );
    if modules > SKETCHED_MAX {
        notes.push(format!(
            "only the {SKETCHED_MAX} modules with the most response time have quantiles over time"
        ));
    }
    notes
}
