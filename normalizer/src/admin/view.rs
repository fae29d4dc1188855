//! [`View`]: the content of the live page as texts. It is the field `page` of an event, so the script of the page formats
//! nothing.

use jiff::Timestamp;
use page::number::{NONE, Unit, bytes, count, duration, exact, optional, rate};
use page::table::Column;
use page::text::visible;
use serde::{Serialize, Serializer};

use super::chart::{Line, line};
use super::state::{RunState, Shares, Shown, State};

const NS_PER_MS: f64 = 1e6;
const NS_PER_S: f64 = 1e9;

#[derive(Debug, Serialize)]
pub struct View {
    /// Time of day, UTC.
    pub at: String,
    pub status: &'static str,
    pub is_ready: bool,
    /// Length of the period that the figures of modules and nodes cover.
    pub window: String,
    pub command: String,
    pub lines: Vec<Line>,
    pub tiles: Vec<Figure>,
    pub tables: Tables,
}

#[derive(Debug, Serialize)]
pub struct Tables {
    /// The values of the charts.
    pub rates: Cells,
    pub runs: Cells,
    pub modules: Cells,
    pub nodes: Cells,
    pub received: Cells,
    pub rejects: Cells,
    pub memory: Cells,
}

/// A key figure.
#[derive(Debug, Serialize)]
pub struct Figure {
    pub key: &'static str,
    #[serde(skip)]
    pub label: &'static str,
    pub value: String,
}

/// The cells of a table as unescaped texts.
#[derive(Debug, Serialize)]
pub struct Cells {
    pub id: &'static str,
    #[serde(skip)]
    pub caption: &'static str,
    #[serde(serialize_with = "keys")]
    pub columns: Vec<Column>,
    pub rows: Vec<Vec<String>>,
    /// The sentence below the table. It states what the table does not show, or why it is empty.
    pub more: String,
}

fn keys<S: Serializer>(columns: &[Column], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(columns.iter().map(|column| column.key))
}

impl View {
    pub fn new(state: &State) -> Self {
        let series = &state.rates;
        let at = Timestamp::from_millisecond(state.at_unix_ms as i64);
        Self {
            at: at.map_or_else(|_| NONE.to_owned(), |at| at.strftime("%H:%M:%S UTC").to_string()),
            status: state.status,
            is_ready: state.is_ready,
            window: duration(state.window_s.round() * NS_PER_S),
            command: visible(&state.report_command).into_owned(),
            lines: vec![
                line("spans", "Spans received", &series.spans, Unit::PerSecond),
                line("requests", "Requests accepted", &series.requests, Unit::PerSecond),
                line("rows", "Rows written", &series.rows, Unit::PerSecond),
                line("bytes", "Data received", &series.bytes, Unit::BytesPerSecond),
            ],
            tiles: tiles(state),
            tables: Tables {
                rates: rates_table(state),
                runs: runs_table(state),
                modules: shares_table("modules-table", "Invocations by module", &state.modules),
                nodes: shares_table("nodes-table", "Invocations by node", &state.nodes),
                received: received_table(state),
                rejects: rejects_table(state),
                memory: memory_table(state),
            },
        }
    }
}

fn tiles(state: &State) -> Vec<Figure> {
    let (pipeline, queue) = (&state.pipeline, &state.queue);
    let disk = if queue.is_disk_full { "full" } else { "has room" };
    let figures = [
        ("up", "Running for", duration(state.up_s as f64 * NS_PER_S)),
        (
            "queue-requests",
            "Requests in the queue",
            exact(queue.requests as u64),
        ),
        ("queue-bytes", "Bytes in the queue", bytes(queue.bytes as f64)),
        ("disk", "Disk", disk.to_owned()),
        ("records", "Journal records read", exact(pipeline.records)),
        (
            "rows-waiting",
            "Rows waiting for a caller",
            exact(pipeline.rows_waiting),
        ),
        (
            "spans-joining",
            "Spans that can be a caller",
            exact(pipeline.spans_joining),
        ),
        ("rows-written", "Rows written", exact(pipeline.rows_written)),
        (
            "bytes-written",
            "Bytes written",
            bytes(pipeline.bytes_written as f64),
        ),
        ("evicted", "Rows written early", exact(pipeline.rows_evicted)),
        ("duplicates", "Duplicates", exact(pipeline.duplicates)),
        (
            "unknown-node",
            "Spans without a node",
            exact(pipeline.unknown_node),
        ),
    ];
    let figure = |(key, label, value)| Figure { key, label, value };
    figures.into_iter().map(figure).collect()
}

/// The values of the charts of rates, with the latest second first.
fn rates_table(state: &State) -> Cells {
    let series = &state.rates;
    let rows = (0..series.spans.len()).rev().enumerate().map(|(ago, index)| {
        let at = |of: &[f64], unit: Unit| optional(of.get(index).copied(), unit);
        vec![
            format!("{ago} s ago"),
            at(&series.spans, Unit::PerSecond),
            at(&series.requests, Unit::PerSecond),
            at(&series.rows, Unit::PerSecond),
            at(&series.bytes, Unit::BytesPerSecond),
        ]
    });
    Cells {
        id: "rates-table",
        caption: "Rates of the last minute",
        columns: vec![
            Column::text("ago", "Second"),
            Column::number("spans", "Spans"),
            Column::number("requests", "Requests"),
            Column::number("rows", "Rows written"),
            Column::number("bytes", "Data"),
        ],
        rows: rows.collect(),
        more: String::new(),
    }
}

fn runs_table(state: &State) -> Cells {
    let row = |run: &RunState| {
        let state = match run.part {
            0 | 1 => run.state.to_owned(),
            part => format!("{}, part {part}", run.state),
        };
        vec![
            visible(&run.run_id).into_owned(),
            state,
            duration(run.age_s as f64 * NS_PER_S),
            exact(run.rows),
            bytes(run.bytes as f64),
        ]
    };
    Cells {
        id: "runs-table",
        caption: "Open runs, then closed ones",
        columns: vec![
            Column::text("run", "Run"),
            Column::text("state", "State").tip("An ending run still takes the rows on their way."),
            Column::number("age", "Age").tip("Time since the start. For a closed run, its length."),
            Column::number("rows", "Rows").tip("Rows written to the current part of the run."),
            Column::number("size", "Size"),
        ],
        rows: state.runs.iter().map(row).collect(),
        more: more(
            state.runs.is_empty(),
            "No run is known yet.",
            state.runs_more,
            "runs",
        ),
    }
}

fn shares_table(id: &'static str, caption: &'static str, of: &Shown) -> Cells {
    let is_nodes = id == "nodes-table";
    let row = |of: &Shares| {
        let time = |ms: Option<f64>| optional(ms.map(|ms| ms * NS_PER_MS), Unit::Nanoseconds);
        let name = visible(of.name.as_deref().unwrap_or("(all others)")).into_owned();
        let mut row = vec![
            name,
            rate(of.calls_per_s),
            exact(of.errors),
            time(of.mean_ms),
            time(of.p95_ms),
            of.in_flight.map_or_else(|| NONE.to_owned(), count),
        ];
        if is_nodes {
            row.push(optional(of.cpu_util, Unit::Percent));
        }
        row
    };
    let (key, head) = if is_nodes {
        ("node", "Node")
    } else {
        ("module", "Module")
    };
    let mut columns = vec![
        Column::text(key, head),
        Column::number("calls", "Calls").tip("Invocations whose rows were written, per second."),
        Column::number("errors", "Errors")
            .tip("Failed invocations: an error type, or a status of 500 or more."),
        Column::number("mean", "Mean").tip("Mean response time."),
        Column::number("p95", "p95").tip("95th percentile of the response times, within 6.3%."),
        Column::number("in-flight", "In flight").tip("Requests in progress, if the services report them."),
    ];
    if is_nodes {
        columns.push(
            Column::number("cpu", "CPU").tip("Utilisation of all CPUs of the node, if it is reported."),
        );
    }
    Cells {
        id,
        caption,
        columns,
        rows: of.shown.iter().map(row).collect(),
        more: match is_nodes {
            true => more(
                of.shown.is_empty(),
                "No spans from a known node yet.",
                of.more,
                "nodes",
            ),
            false => more(of.shown.is_empty(), "No spans yet.", of.more, "modules"),
        },
    }
}

fn received_table(state: &State) -> Cells {
    let rows = state.signals.iter().map(|of| {
        vec![
            of.signal.to_owned(),
            exact(of.requests),
            exact(of.rows),
            bytes(of.bytes as f64),
        ]
    });
    Cells {
        id: "received-table",
        caption: "Received since the start",
        columns: vec![
            Column::text("signal", "Signal"),
            Column::number("requests", "Requests"),
            Column::number("rows", "Spans, points, log records"),
            Column::number("bytes", "Bytes").tip("After decompression."),
        ],
        rows: rows.collect(),
        more: String::new(),
    }
}

/// One row for each reason, with a count of the receiver and one of the pipeline. The pipeline also counts what the receiver
/// rejected within an accepted request, because the journal contains whole requests.
fn rejects_table(state: &State) -> Cells {
    let mut reasons: Vec<(String, [u64; 2])> = Vec::new();
    for reject in &state.rejects {
        let reason = match reject.of {
            "requests" => format!("{}, whole request", reject.reason),
            _ => reject.reason.clone(),
        };
        let known = reasons.iter().position(|(known, _)| *known == reason);
        let place = known.unwrap_or_else(|| {
            reasons.push((reason, [0, 0]));
            reasons.len() - 1
        });
        reasons[place].1[usize::from(reject.of == "pipeline")] += reject.count;
    }
    let row =
        |(reason, [receiver, pipeline]): (String, [u64; 2])| vec![reason, exact(receiver), exact(pipeline)];
    Cells {
        id: "rejects-table",
        caption: "Rejected since the start, by reason",
        columns: vec![
            Column::text("reason", "Reason"),
            Column::number("receiver", "Receiver")
                .tip("Spans, points or requests rejected on arrival. Their senders get the reason."),
            Column::number("pipeline", "Pipeline")
                .tip("Spans and points without a row, including those that the receiver rejected."),
        ],
        more: more(reasons.is_empty(), "Nothing was rejected.", 0, ""),
        rows: reasons.into_iter().map(row).collect(),
    }
}

fn memory_table(state: &State) -> Cells {
    let memory = &state.memory;
    let rows = memory.tables.iter().map(|&(table, used)| {
        let share = used as f64 / memory.limit as f64;
        let content = match table {
            "copies" => "spans remembered to detect duplicates",
            "join" => "spans that can still be a caller",
            "rows" => "rows that wait",
            "traces" => "the run of each trace",
            "inventories" => "modules, nodes, names, statistics",
            _ => "",
        };
        vec![
            table.to_owned(),
            content.to_owned(),
            bytes(used as f64),
            Unit::Share.format(share),
        ]
    });
    Cells {
        id: "memory-table",
        caption: "Memory in use, by table",
        columns: vec![
            Column::text("table", "Table"),
            Column::text("content", "Content"),
            Column::number("bytes", "Bytes"),
            Column::number("share", "Of the limit"),
        ],
        rows: rows.collect(),
        more: match memory.limit {
            0 => "The pipeline has not started yet.".to_owned(),
            limit => format!(
                "The limit of tables and queue is {} (--memory-limit).",
                bytes(limit as f64)
            ),
        },
    }
}

/// The sentence below a table.
fn more(is_empty: bool, empty: &str, hidden: usize, what: &str) -> String {
    match (is_empty, hidden) {
        (true, _) => empty.to_owned(),
        (false, 0) => String::new(),
        (false, hidden) => format!("{} more {what} are not shown.", exact(hidden as u64)),
    }
}
