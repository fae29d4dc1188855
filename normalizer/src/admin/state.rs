//! [`State`]: the content of the live page as numbers. It is the field `state` of an event.

use std::cmp::Reverse;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use super::history::{History, Mark, WINDOW};
use super::report_command::report_command;
use super::sources::{SIGNALS, Sources};
use crate::pipeline::{Figure, LiveFigures, PipelineCounters, RunFigure, Sums};

/// Maximum number of modules, and of nodes, that are shown. Of further ones, only the number is shown.
const SHOWN_MAX: usize = 200;

#[derive(Debug, Serialize)]
pub struct State {
    /// Milliseconds since the Unix epoch.
    pub at_unix_ms: u64,
    /// Seconds since the normalizer started.
    pub up_s: u64,
    /// `ready`, or the reason why requests are refused.
    pub status: &'static str,
    pub is_ready: bool,
    pub rates: Series,
    pub signals: Vec<SignalState>,
    pub pipeline: PipelineState,
    pub queue: QueueState,
    pub memory: MemoryState,
    pub rejects: Vec<Reject>,
    /// Length of the period that the figures of modules and nodes cover.
    pub window_s: f64,
    pub modules: Shown,
    pub nodes: Shown,
    pub runs: Vec<RunState>,
    pub runs_more: usize,
    pub report_command: String,
}

/// Rates of the last seconds, oldest first.
#[derive(Debug, Default, Serialize)]
pub struct Series {
    pub spans: Vec<f64>,
    pub requests: Vec<f64>,
    pub rows: Vec<f64>,
    pub bytes: Vec<f64>,
}

/// Counts of one signal since the start.
#[derive(Debug, Serialize)]
pub struct SignalState {
    pub signal: &'static str,
    pub requests: u64,
    pub rows: u64,
    pub bytes: u64,
}

#[derive(Debug, Serialize)]
pub struct PipelineState {
    pub records: u64,
    pub rows_written: u64,
    pub bytes_written: u64,
    pub duplicates: u64,
    pub unknown_node: u64,
    pub rows_waiting: u64,
    pub rows_evicted: u64,
    pub spans_joining: u64,
    pub runs_open: u64,
}

#[derive(Debug, Serialize)]
pub struct QueueState {
    pub requests: usize,
    pub bytes: usize,
    pub is_disk_full: bool,
}

#[derive(Debug, Serialize)]
pub struct MemoryState {
    pub limit: u64,
    pub tables: Vec<(&'static str, u64)>,
}

/// A number of rejected or refused items.
#[derive(Debug, Serialize)]
pub struct Reject {
    /// The kind of items: the signal, `requests` or `pipeline`.
    pub of: &'static str,
    pub reason: String,
    pub count: u64,
}

#[derive(Debug, Serialize)]
pub struct Shown {
    pub shown: Vec<Shares>,
    /// Number of entries that are not shown. They have the fewest calls.
    pub more: usize,
}

/// Figures of a module or a node in the window.
#[derive(Debug, Serialize)]
pub struct Shares {
    /// `None` for the entry that stands for all modules or nodes beyond the pipeline's maximum.
    pub name: Option<String>,
    /// Invocations since the start.
    pub calls_total: u64,
    /// Invocations in the window.
    pub calls: u64,
    pub calls_per_s: f64,
    pub errors: u64,
    pub mean_ms: Option<f64>,
    pub p95_ms: Option<f64>,
    pub in_flight: Option<f64>,
    /// Percent.
    pub cpu_util: Option<f64>,
}

#[derive(Debug, Serialize)]
pub struct RunState {
    pub run_id: String,
    /// `open`, `ending` or `closed`.
    pub state: &'static str,
    pub part: u64,
    /// Seconds since the start of the run. For a closed run, its duration.
    pub age_s: u64,
    pub rows: u64,
    pub bytes: u64,
}

impl State {
    pub fn new(sources: &Sources, history: &History, now: Instant) -> Self {
        let at = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let at = at.unwrap_or(Duration::ZERO);
        let refusal = sources.refusal_reason();
        let counters = sources.progress.counters();
        let usage = sources.journal.queue_usage();
        let live = sources.progress.live();
        let none = LiveFigures::default();
        let figures = live.as_ref().map_or(&none, |live| &live.figures);
        let start = history.window_start();
        let end = live.as_ref().map(|live| live.holds_at(now));
        let window = end
            .zip(start)
            .map(|(end, start)| end.saturating_duration_since(start.at));
        let window_s = window.unwrap_or_default().as_secs_f64();
        // In an idle pipeline, journal time stands still, so samples do not get older there. So their age is also limited by
        // the time since the figures were published.
        let has_samples = live
            .as_ref()
            .is_some_and(|live| now.saturating_duration_since(live.at) <= WINDOW);
        let shown = |of: &[Figure], sums: fn(&Mark) -> &[Sums]| {
            Shown::new(of, start.map_or(&[], sums), window_s, has_samples)
        };
        Self {
            at_unix_ms: at.as_millis() as u64,
            up_s: now.saturating_duration_since(sources.started).as_secs(),
            status: refusal.map_or("ready", str::trim_end),
            is_ready: refusal.is_none(),
            rates: Series::new(history),
            signals: signals(sources),
            pipeline: PipelineState::new(&counters, sources),
            queue: QueueState {
                requests: usage.requests,
                bytes: usage.bytes,
                is_disk_full: sources.journal.is_disk_full(),
            },
            rejects: rejects(sources, &counters),
            memory: MemoryState {
                limit: counters.memory_limit,
                tables: counters.memory,
            },
            window_s: rounded(window_s),
            modules: shown(&figures.modules, |mark| &mark.modules),
            nodes: shown(&figures.nodes, |mark| &mark.nodes),
            runs: figures.runs.iter().map(|run| RunState::new(run, at)).collect(),
            runs_more: figures.runs_more,
            report_command: report_command(&sources.out_dir, figures.runs.first().map(|run| &*run.id)),
        }
    }
}

impl Series {
    fn new(history: &History) -> Self {
        let mut series = Self::default();
        for rates in history.rates() {
            series.spans.push(rounded(rates.spans));
            series.requests.push(rounded(rates.requests));
            series.rows.push(rounded(rates.rows));
            series.bytes.push(rates.bytes.round());
        }
        series
    }
}

fn signals(sources: &Sources) -> Vec<SignalState> {
    let state = |(signal, name)| {
        let counters = sources.counters.signal(signal);
        SignalState {
            signal: name,
            requests: counters.requests.load(Ordering::Relaxed),
            rows: counters.rows.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
        }
    };
    SIGNALS.into_iter().map(state).collect()
}

impl PipelineState {
    fn new(counters: &PipelineCounters, sources: &Sources) -> Self {
        Self {
            records: sources.progress.records(),
            rows_written: counters.rows_written,
            bytes_written: sources.progress.bytes_written(),
            duplicates: counters.duplicates,
            unknown_node: counters.unknown_node,
            rows_waiting: counters.rows_held,
            rows_evicted: counters.rows_evicted,
            spans_joining: counters.spans_joining,
            runs_open: counters.runs_open,
        }
    }
}

/// The counts of rejected and refused items, largest first. Reasons are names from the source code, so their number is bounded.
fn rejects(sources: &Sources, counters: &PipelineCounters) -> Vec<Reject> {
    let mut rejects = Vec::new();
    let mut push = |of, reason: &str, count| {
        if count > 0 {
            let reason = reason.to_owned();
            rejects.push(Reject { of, reason, count });
        }
    };
    for (signal, name) in SIGNALS {
        for (reason, count) in sources.counters.signal(signal).rejected() {
            push(name, reason.as_str(), count);
        }
    }
    for (reason, count) in sources.counters.refused() {
        push("requests", reason, count);
    }
    for (reason, count) in &counters.rejected {
        push("pipeline", reason, *count);
    }
    rejects.sort_by_key(|reject| Reverse(reject.count));
    rejects
}

impl Shown {
    /// `has_samples` states whether the sampled values are recent enough to be shown.
    fn new(figures: &[Figure], at_start: &[Sums], window_s: f64, has_samples: bool) -> Self {
        let none = Sums::default();
        let shares = figures.iter().enumerate().map(|(number, figure)| {
            let sums = figure.sums.since(at_start.get(number).unwrap_or(&none));
            let mut shares = Shares::new(figure, &sums, window_s);
            if !has_samples {
                (shares.in_flight, shares.cpu_util) = (None, None);
            }
            shares
        });
        let is_known = |of: &Shares| of.calls_total > 0 || of.in_flight.is_some() || of.cpu_util.is_some();
        let mut shown: Vec<Shares> = shares.filter(is_known).collect();
        shown.sort_by(|left, right| {
            right
                .calls
                .cmp(&left.calls)
                .then_with(|| left.name.cmp(&right.name))
        });
        let more = shown.len().saturating_sub(SHOWN_MAX);
        shown.truncate(SHOWN_MAX);
        Self { shown, more }
    }
}

impl Shares {
    fn new(figure: &Figure, sums: &Sums, window_s: f64) -> Self {
        let per_second = if window_s > 0.0 {
            sums.calls as f64 / window_s
        } else {
            0.0
        };
        Self {
            name: figure.name.clone(),
            calls_total: figure.sums.calls,
            calls: sums.calls,
            calls_per_s: rounded(per_second),
            errors: sums.errors,
            mean_ms: sums.mean_ms().map(rounded),
            p95_ms: sums.quantile_ms(0.95).map(rounded),
            in_flight: figure.in_flight.map(rounded),
            cpu_util: figure.cpu_util.map(rounded),
        }
    }
}

impl RunState {
    fn new(run: &RunFigure, now: Duration) -> Self {
        let now_ns = now.as_nanos() as u64;
        let end = run.ended_unix_ns.unwrap_or(now_ns);
        Self {
            run_id: run.id.clone(),
            state: run.phase,
            part: run.part,
            age_s: end.saturating_sub(run.started_unix_ns) / 1_000_000_000,
            rows: run.rows,
            bytes: run.bytes,
        }
    }
}

/// Rounds to three decimals. More would only make the message longer.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
