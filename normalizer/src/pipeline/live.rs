//! [`LiveFigures`]: the figures of modules, nodes and runs that the live page shows.

use aggregate::ids::{ModuleId, NodeId};

use super::shared::Shared;
use super::shared::figures::TRACKED_MAX;
use super::shared::run::{Phase, Run};

pub use super::shared::figures::Sums;

/// Maximum number of runs shown.
pub const RUNS_MAX: usize = 50;
/// Maximum size of a name on the page, bytes. It keeps a page with hostile names small.
const NAME_BYTES_MAX: usize = 160;

/// Cumulative figures since the process started, and the runs.
#[derive(Debug, Clone, Default)]
pub struct LiveFigures {
    /// Indexed by the number of the module.
    pub modules: Vec<Figure>,
    /// Indexed by the number of the node.
    pub nodes: Vec<Figure>,
    /// Open runs, then closed ones; the newest first.
    pub runs: Vec<RunFigure>,
    /// Number of runs that are not in the list.
    pub runs_more: usize,
}

/// A module or a node.
#[derive(Debug, Clone)]
pub struct Figure {
    /// `None` for the entry that stands for all modules or nodes beyond the maximum.
    pub name: Option<String>,
    pub sums: Sums,
    /// Requests in progress, if sampled.
    pub in_flight: Option<f64>,
    /// Utilisation of a node's CPUs, percent, if sampled.
    pub cpu_util: Option<f64>,
}

#[derive(Debug, Clone)]
pub struct RunFigure {
    pub id: String,
    /// `open`, `ending` or `closed`.
    pub phase: &'static str,
    /// Number of the current part.
    pub part: u64,
    /// Nanoseconds since the Unix epoch.
    pub started_unix_ns: u64,
    /// End, if it is closed.
    pub ended_unix_ns: Option<u64>,
    /// Number of rows in the current part.
    pub rows: u64,
    /// Bytes of these rows.
    pub bytes: u64,
}

/// The figures at this moment.
pub fn live_figures(shared: &Shared) -> LiveFigures {
    let now = shared.clock.now;
    let (sources, figures) = (&shared.sources, &shared.figures);
    let mut modules = named(figures.modules(), |number| {
        &sources.module(ModuleId::new(number)).module_id
    });
    let mut nodes = named(figures.nodes(), |number| &sources.node(NodeId::new(number)).node);
    for (instance, in_flight) in figures.in_flight(now) {
        let instance = sources.instance(instance);
        let module = modules.get_mut(instance.module.index().min(TRACKED_MAX));
        let node = instance
            .node
            .and_then(|node| nodes.get_mut(node.index().min(TRACKED_MAX)));
        for figure in module.into_iter().chain(node) {
            *figure.in_flight.get_or_insert(0.0) += in_flight;
        }
    }
    for (number, node) in nodes.iter_mut().enumerate().take(TRACKED_MAX) {
        node.cpu_util = figures.cpu_util(NodeId::new(number), now);
    }
    let mut runs: Vec<&Run> = shared.runs.all().collect();
    runs.sort_by_key(|run| (!run.is_live(), std::cmp::Reverse(run.started_unix_ns)));
    LiveFigures {
        modules,
        nodes,
        runs_more: runs.len().saturating_sub(RUNS_MAX),
        runs: runs.into_iter().take(RUNS_MAX).map(run_figure).collect(),
    }
}

fn named<'a>(sums: &[Sums], name_of: impl Fn(usize) -> &'a str) -> Vec<Figure> {
    let figure = |(number, sums): (usize, &Sums)| Figure {
        name: (number < TRACKED_MAX).then(|| shortened(name_of(number))),
        sums: sums.clone(),
        in_flight: None,
        cpu_util: None,
    };
    sums.iter().enumerate().map(figure).collect()
}

fn shortened(name: &str) -> String {
    name[..name.floor_char_boundary(NAME_BYTES_MAX)].to_owned()
}

fn run_figure(run: &Run) -> RunFigure {
    RunFigure {
        id: run.id.clone(),
        phase: match run.phase {
            Phase::Open => "open",
            Phase::Ending(_) => "ending",
            Phase::Closed(_) => "closed",
        },
        part: run.part.of.number(),
        started_unix_ns: run.started_unix_ns,
        ended_unix_ns: run.ended_unix_ns.filter(|_| !run.is_live()),
        rows: run.part.rows.iter().sum(),
        bytes: run.part.bytes,
    }
}
