//! [`stats`]: figures of a recorded run by module, endpoint, node and link, in one pass over its rows. With a
//! window, an earlier pass finds the start of the run.
//!
//! - [`opened`]: the files of a run; [`row`]: the fields of a line.
//! - [`scan`]: reads the lines of all files on all cores; the order of the results does not depend on the threads.
//! - [`cells`], [`figures`]: sums by endpoint and node; [`links`]: sums by the nodes of caller and callee.
//! - [`arrivals`]: times between arrivals. [`samples`], [`slots`] (with [`instances`]): figures that the rows do not contain.
//! - [`series`], [`load`], [`stations`]: confidence intervals of times and of other figures; the length of the run in
//!   relaxation times.
//! - [`group`], [`table`]: groups and their figures; [`sql`]: the same figures in SQL.
//! - [`lint`]: checks the figures against operational laws, such as Little's law, and against [`sampled`], [`hosts`] and
//!   [`flow`].
//! - [`notes`]: sentences about missing data. [`origin`]: a sentence about the telemetry of a converted run. [`window`]: a period
//!   of the run; [`ordered`]: threads with ordered results.

pub mod arrivals;
pub mod cells;
pub mod figures;
pub mod flow;
pub mod group;
pub mod hosts;
pub mod instances;
pub mod links;
pub mod lint;
pub mod load;
mod notes;
pub mod opened;
pub mod ordered;
pub mod origin;
pub mod row;
pub mod sampled;
pub mod samples;
pub mod scan;
pub mod series;
pub mod slots;
pub mod sql;
pub mod stations;
pub mod table;
pub mod window;

use cctf_proto::cctf::{File, Part, SystemStat};
use rundir::chunks::ChunkedFile;
use rundir::parts::Run;
use rundir::{Lines, ReadError};

use crate::system_stats::{self, IN_FLIGHT, PROCESS_CPU};

use group::{By, Group, Sources};
use hosts::Hosts;
use lint::Check;
pub use opened::{Opened, StatsError};
use sampled::Sampled;
use samples::InFlight;
use scan::{Damages, Kind, Limits, Scan};
use slots::Slots;
use stations::Stations;
use window::{Bounds, Window, first_start};

/// The figures to compute.
#[derive(Debug, Clone)]
pub struct Options {
    pub by: Vec<By>,
    pub window: Window,
    /// Whether to check the operational laws. This needs the whole run.
    pub lint: bool,
    /// Number of threads. The result does not depend on it.
    pub threads: usize,
}

impl Options {
    /// Whether figures of modules, endpoints or nodes are requested.
    fn has_stations(&self) -> bool {
        self.by.iter().any(|by| *by != By::Link)
    }

    /// Whether the figures need `calls.jsonl`.
    pub fn needs_calls(&self) -> bool {
        self.lint || self.by.contains(&By::Link)
    }
}

/// Number of bytes read so far, and in total.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    pub done: u64,
    pub total: u64,
}

/// Figures of a run.
#[derive(Debug)]
pub struct Stats {
    pub run_id: String,
    /// Folder names of the parts.
    pub parts: Vec<String>,
    /// Whether the run has not ended, so that further rows may follow.
    pub is_open: bool,
    /// Number of invocations in the run.
    pub rows: u64,
    /// First `ts_start` of the run, nanoseconds since the Unix epoch; `None` without rows.
    pub first_ns: Option<i64>,
    /// Last `ts_end` of the run.
    pub last_ns: Option<i64>,
    /// Number of invocations that are more than a minute outside of the period in `run_meta.json`. Their clock is wrong.
    pub outside: u64,
    /// Length of the window, as far as it is within the run, nanoseconds.
    pub time_ns: u64,
    pub damages: Damages,
    /// Sentences about missing data.
    pub notes: Vec<String>,
    /// Groups of all requested groupings, in the order of the request.
    pub groups: Vec<Group>,
    /// Results of the lint, if it was requested.
    pub checks: Vec<Check>,
}

/// Computes the figures of a run from the part `first` on.
///
/// # Errors
/// If a file cannot be read, or there are no invocations.
pub fn stats(
    run: &Run,
    first: &Part,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Stats, StatsError> {
    let opened = Opened::new(run, first, options.needs_calls())?;
    Ok(stats_of(&opened, options, on_progress)?)
}

/// Computes the figures of a run whose files were opened, with calls if the options need them.
///
/// # Errors
/// If a file cannot be read.
pub fn stats_of(
    opened: &Opened,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Stats, ReadError> {
    let is_whole = options.window.is_whole();
    let passes = if is_whole { 1 } else { 2 };
    let mut progress = Progress {
        done: 0,
        total: opened.bytes() * passes,
    };
    let mut on_bytes = |bytes: u64| {
        progress.done = (progress.done + bytes).min(progress.total);
        on_progress(progress);
    };
    let mut bounds = Bounds::EVERYTHING;
    if !is_whole {
        let files: Vec<&ChunkedFile> = opened.files(Kind::Invocations).collect();
        let first = first_start(&files, options.threads, &mut on_bytes)?;
        bounds = Bounds::new(options.window, first.unwrap_or(0));
    }
    let groupings = options.by.iter().filter_map(|by| by.grouping()).collect();
    let mut scan = Scan::new(groupings, options.needs_calls());
    let limits = Limits {
        window: bounds,
        clocks: opened.clocks,
    };
    scan.run(&opened.inputs, limits, options.threads, &mut on_bytes)?;
    finish(opened, options, scan)
}

/// Adds samples and slots, and makes the groups.
fn finish(opened: &Opened, options: &Options, mut scan: Scan) -> Result<Stats, ReadError> {
    let (run, parts) = (&opened.run, opened.parts.as_slice());
    let mut notes = opened.notes.clone();
    let (first, last) = (scan.first_start, scan.last_end);
    let mut bounds = Bounds::new(options.window, first.unwrap_or(0));
    bounds.end = bounds.end.min(last.unwrap_or(0));
    let time_ns = u64::try_from(bounds.end.saturating_sub(bounds.begin)).unwrap_or(0);
    let mut slots = None;
    if options.has_stations() {
        let instances = instances::read(run, parts, &mut scan.damages)?;
        slots = instances.map(|instances| Slots::within(&instances, bounds));
        if slots.is_none() {
            notes.push("no valid module_inventory.json, so utilisation is unknown".to_owned());
        }
    }
    let (in_flight, sampled) = samples(opened, options, bounds, &mut scan.damages)?;
    let (cells, series) = (&scan.cells, &scan.series);
    let gaps = scan
        .arrivals
        .as_mut()
        .map(|arrivals| arrivals.finish(|cell| cells.groups_of(cell), |by, group| series.has(by, group)));
    let stations = Stations::new(cells, slots.as_ref(), time_ns);
    let sources = Sources {
        series,
        stations: &stations,
        cells,
        gaps: gaps.as_deref().unwrap_or_default(),
        slots: slots.as_ref(),
        in_flight: &in_flight,
        bounds,
        origin: scan::origin_of(opened.clocks),
        time_ns,
    };
    let checks = match &scan.links {
        Some(links) if options.lint => {
            let hosts = Hosts::read(run, parts, &sampled.cpu_by_node(), &mut scan.damages)?;
            lint::lint(cells, links, &sampled, &hosts, time_ns)
        }
        _ => Vec::new(),
    };
    let mut groups = Vec::new();
    for &by in &options.by {
        match (by, &mut scan.links) {
            (By::Link, Some(links)) => {
                let nodes = cells.keys(cells::NODE);
                let found = links.finish(|number| &nodes[number as usize]);
                groups.extend(sources.links(found));
            }
            _ => groups.extend(sources.groups(by)),
        }
    }
    notes.extend(notes::notes(&options.by, &scan, &in_flight, &sampled));
    Ok(Stats {
        run_id: parts
            .first()
            .map_or_else(String::new, |part| part.run_id().to_owned()),
        parts: parts.iter().map(|part| part.folder().to_owned()).collect(),
        is_open: opened.is_open,
        rows: scan.rows,
        first_ns: first,
        last_ns: last,
        outside: scan.outside,
        time_ns,
        damages: scan.damages,
        notes,
        groups,
        checks,
    })
}

/// Reads the samples of the instances once, for the figures and for the lint.
fn samples(
    opened: &Opened,
    options: &Options,
    bounds: Bounds,
    damages: &mut Damages,
) -> Result<(InFlight, Sampled), ReadError> {
    let (mut in_flight, mut sampled) = (InFlight::default(), Sampled::default());
    let is_needed = options.has_stations() || options.lint;
    for part in opened.parts.iter().filter(|_| is_needed) {
        let Some(lines) = Lines::open(opened.run.path(part, File::SystemStats))? else {
            continue;
        };
        let path = lines.path().to_owned();
        let on_sample = |stat: &SystemStat<'_>| {
            if !bounds.has(stat.ts_ms.as_ns()) {
                return;
            }
            if options.has_stations() && &*stat.metric == IN_FLIGHT {
                in_flight.add(stat);
            }
            if options.lint {
                sampled.add(stat);
            }
        };
        system_stats::read(lines, &[IN_FLIGHT, PROCESS_CPU], on_sample, |line| {
            damages.add_row(&path, line);
        })?;
    }
    Ok((in_flight, sampled))
}
