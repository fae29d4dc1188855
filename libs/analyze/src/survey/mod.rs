//! What a report needs of the rows besides the figures of `stats`, in two more passes over the same lines.
//!
//! - [`lines`]: a pass; [`picks`]: which traces are shown; [`traces`]: their rows.
//! - [`Survey`]: the first pass, which needs the beginning, the end and the modules of the run. It gives the timeline, the
//!   edges and the choice of traces.
//! - [`Survey::finish`]: the second pass, which reads the rows of these traces.

pub mod lines;
pub mod picks;
pub mod traces;

use rundir::ReadError;

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
use crate::timeline::collector::{COUNTED_MAX, ChunkTimeline, Collector, Ranks, SKETCHED_MAX};
use crate::timeline::grid::Grid;
use crate::timeline::sampled::SampledBuckets;
use crate::timeline::series::Timeline;
use crate::timeline::slot_times::SlotTimes;
use crate::trace::{Span, Trace};

use lines::{CompleteLines, pass};
use picks::{Pick, Picks, Root};
use traces::{ChunkRows, Rows, Wanted};

/// The timeline of a run, and what the next pass looks for.
pub struct Survey {
    timeline: Timeline,
    edges: Edges,
    picked: Vec<(Pick, Root)>,
    notes: Vec<String>,
}

/// What a report shows besides the figures of `stats`.
pub struct Surveyed {
    pub timeline: Timeline,
    /// Those with the most time first.
    pub edges: Vec<Edge>,
    pub traces: Vec<PickedTrace>,
    /// What is missing or left out.
    pub notes: Vec<String>,
}

/// A trace that was chosen.
#[derive(Debug)]
pub struct PickedTrace {
    pub pick: Pick,
    /// The invocation by which it was chosen; a trace can have several roots. `None` if its row is invalid.
    pub root: Option<Span>,
    pub trace: Trace,
    /// Rows beyond the maximum, which are not in `trace`.
    pub rows_left_out: u64,
    /// Rows that failed, with those that are left out.
    pub failed: u64,
}

/// Everything that a chunk adds up to.
#[derive(Default)]
struct Chunk {
    timeline: ChunkTimeline,
    edges: ChunkEdges,
    picks: Picks,
}

/// What all chunks need.
struct Context {
    grid: Grid,
    ranks: Ranks,
    names: Names,
}

impl Chunk {
    /// Damaged lines are left out: `stats` has counted them.
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

/// Makes the timeline and the edges of a run with figures by module, and chooses traces. Without rows all of it is empty.
///
/// # Errors
/// If a file cannot be read.
pub fn survey(
    opened: &Opened,
    stats: &Stats,
    threads: usize,
    on_bytes: impl FnMut(u64) + Send,
) -> Result<Survey, ReadError> {
    // Damaged placement events were counted by `stats`.
    let instances = instances::read(&opened.run, &opened.parts, &mut Damages::default())?;
    let instances = instances.unwrap_or_default();
    let modules = ranked(&stats.groups);
    let (Some(first), Some(last)) = (stats.first_ns, stats.last_ns) else {
        return Ok(Survey {
            timeline: Timeline::default(),
            edges: Edges::new(edges::collector::Collector::default(), &Names::default()),
            picked: Vec::new(),
            notes: Vec::new(),
        });
    };
    let grid = Grid::new(first, last);
    let context = Context {
        grid,
        ranks: Ranks::new(&with_policy(&modules, &instances)),
        names: Names::new(modules.iter(), &instances),
    };
    let mut collector = Collector::new(grid);
    let mut edges = edges::collector::Collector::default();
    let mut picks = Picks::default();
    let read = |kind: Kind, lines: CompleteLines<'_>| Chunk::read(kind, lines, &context);
    let absorb = |chunk: Chunk| {
        collector.absorb(&chunk.timeline);
        edges.absorb(chunk.edges);
        picks.absorb(chunk.picks);
    };
    pass(opened, threads, read, absorb, on_bytes)?;
    let sampled = SampledBuckets::read(&opened.run, &opened.parts, grid)?;
    let slots = SlotTimes::new(&instances, grid);
    let mut notes = notes(&sampled, &edges, modules.len());
    let picked = picks.finish();
    if picked.is_empty() {
        notes.push("no root invocation has a response time, so no trace is shown".to_owned());
    }
    let modules = modules.into_iter().take(COUNTED_MAX);
    Ok(Survey {
        timeline: timeline::finish(grid, collector, modules, &sampled, &slots),
        edges: Edges::new(edges, &context.names),
        picked,
        notes,
    })
}

impl Survey {
    /// Reads the rows of the chosen traces, and those that show who answered a call.
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
            let invalid = rows.invalid;
            let note = format!("{invalid} rows of the shown traces are invalid, and not in them");
            self.notes.push(note);
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

/// The modules with the most response time first. The group of further modules has no key by which its rows are found.
fn ranked(groups: &[Group]) -> Vec<Key> {
    let is_module = |group: &&Group| group.by == By::Module && !group.key.is_other;
    let mut modules: Vec<&Group> = groups.iter().filter(is_module).collect();
    modules.sort_by(|left, right| {
        let sum = |group: &Group| group.sums.of(Time::Response).sum_ns;
        sum(right).cmp(&sum(left)).then_with(|| left.key.cmp(&right.key))
    });
    modules.into_iter().map(|group| group.key.clone()).collect()
}

/// The modules, and whether their requests give up their slot during downstream calls.
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

fn notes(sampled: &SampledBuckets, edges: &edges::collector::Collector, modules: usize) -> Vec<String> {
    let mut notes = Vec::new();
    if sampled.is_empty() {
        notes.push(
            "no samples of in_flight in system_stats.jsonl, so the sampled requests in the system are unknown"
                .to_owned(),
        );
    }
    if sampled.beyond > 0 {
        notes.push(format!(
            "{} samples are not in in_flight over time: there are too many instances",
            sampled.beyond
        ));
    }
    if modules > COUNTED_MAX {
        notes.push(format!(
            "{} modules are not shown over time: only the {COUNTED_MAX} with the most response time are",
            modules - COUNTED_MAX
        ));
    }
    if modules > SKETCHED_MAX {
        notes.push(format!(
            "only the {SKETCHED_MAX} modules with the most response time have quantiles over time"
        ));
    }
    if edges.other.calls > 0 {
        notes.push(format!(
            "{} calls are in one edge (other): there are too many pairs of modules and peers",
            edges.other.calls
        ));
    }
    if edges.without_call > 0 {
        notes.push(format!(
            "{} invocations below another one are on no edge: their rows name no call",
            edges.without_call
        ));
    }
    notes
}
