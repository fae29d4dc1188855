//! [`over_time`]: charts of rates, requests in the system and utilisation over time, with marks at placement events.

use analyze::coarse::quantile;
use analyze::stats::figures::Time;
use cctf_proto::cctf::PlacementKind;
use page::charts::axes::Mark;
use page::charts::lines::{Line, Lines, lines};
use page::figure::figure;
use page::html::{Html, element};
use page::number::{Unit, duration, exact, optional};
use page::table::{Column, Row, Table};

use super::figures::errors;
use super::names::{cut, label, shown, shown_or_none};
use super::view::{NS_PER_S, View};
use crate::model::{Bucket, Event};

/// Maximum number of modules that have their own line.
const MODULES_MAX: usize = 6;
/// Maximum number of events that are marked in a chart. Further marks would cover the lines.
const MARKS_MAX: usize = 20;
/// Maximum number of rows of the table of events.
const EVENTS_MAX: usize = 60;
/// Maximum length of a mark's text, in characters.
const MARK_MAX: usize = 80;

pub fn over_time(view: &View, rows: usize) -> Html {
    let timeline = &view.run.timeline;
    if timeline.run.buckets.is_empty() {
        return element("p").child("No invocation has a time.").build();
    }
    let charts = charts(view, rows);
    let note = format!(
        "Intervals of {}. An invocation counts where its processing starts (ts_start).",
        duration(timeline.bucket_ns as f64)
    );
    let mut html = figure(
        "Rates, requests in the system, and utilisation over time",
        charts,
        &table(view, rows),
        note,
    );
    html.push(events(view, rows.min(EVENTS_MAX)));
    html
}

/// The charts. If there is room for few rows only, the charts have few lines, too.
fn charts(view: &View, rows: usize) -> Html {
    let modules = MODULES_MAX.min(rows / 10);
    let buckets = &view.run.timeline.run.buckets;
    let per_s = |count: fn(&Bucket) -> u64| -> Vec<Option<f64>> {
        let rate = |(index, bucket)| Some(count(bucket) as f64 / view.covered_s(index)?);
        buckets.iter().enumerate().map(rate).collect()
    };
    let mut rates = vec![Line {
        name: "invocations".to_owned(),
        values: per_s(|bucket| bucket.calls),
    }];
    if buckets.iter().any(|bucket| bucket.errors > 0) {
        rates.push(Line {
            name: "errors".to_owned(),
            values: per_s(|bucket| bucket.errors),
        });
    }
    let mut html = chart(view, "rates", "Invocations per second", Unit::PerSecond, rates);
    let in_flight = series(view, modules, |bucket| bucket.in_flight);
    html.push(chart(
        view,
        "in-flight",
        "Requests in the system, as sampled",
        Unit::Count,
        in_flight,
    ));
    let busy = series(view, modules, |bucket| bucket.utilisation);
    html.push(chart(
        view,
        "utilisation",
        "Utilisation of worker slots",
        Unit::Share,
        busy,
    ));
    html
}

/// A line for the run, and one for each of the first modules. A single module gets no line, because its line would be
/// that of the run.
fn series(view: &View, modules: usize, value: fn(&Bucket) -> Option<f64>) -> Vec<Line> {
    let timeline = &view.run.timeline;
    let values = |buckets: &[Bucket]| -> Vec<Option<f64>> { buckets.iter().map(value).collect() };
    let mut series = vec![Line {
        name: "whole run".to_owned(),
        values: values(&timeline.run.buckets),
    }];
    if timeline.modules.len() > 1 {
        let modules = timeline.modules.iter().take(modules);
        series.extend(modules.map(|(key, of)| Line {
            name: label(&view.names.module(key)),
            values: values(&of.buckets),
        }));
    }
    series.retain(|line| line.values.iter().any(Option::is_some));
    series
}

fn chart(view: &View, id: &str, title: &str, unit: Unit, series: Vec<Line>) -> Html {
    if series.is_empty() {
        return element("p").child(format!("{title}: not recorded.")).build();
    }
    let known = || series[0].values.iter().flatten().copied();
    let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
        (low.min(value), high.max(value))
    });
    let drawn = lines(&Lines {
        id: view.id(&format!("{id}-chart")),
        title: title.to_owned(),
        description: format!(
            "{}: from {} to {} in {}.",
            series[0].name,
            unit.format(low),
            unit.format(high),
            duration(view.run.stats.time_ns as f64)
        ),
        time: view.axis(),
        unit,
        series,
        events: marks(view),
    });
    titled(title, drawn)
}

/// A chart with its title, for figures that consist of several charts.
pub fn titled(title: &str, chart: Html) -> Html {
    let mut html = element("p").class("chart-title").child(title).build();
    html.push(chart);
    html
}

fn marks(view: &View) -> Vec<Mark> {
    let end = view.axis().buckets as f64 * view.bucket_s();
    let marks = view.run.events.iter().map(|event| Mark {
        at_s: at_s(view, event),
        text: sentence(event),
    });
    // Events before the first invocation are not marked: their instances run from the beginning of the chart.
    marks
        .filter(|mark| mark.at_s >= 0.0 && mark.at_s <= end)
        .take(MARKS_MAX)
        .collect()
}

/// Time of an event in seconds since the first invocation. It is negative for earlier events.
fn at_s(view: &View, event: &Event) -> f64 {
    event.ts_ns.saturating_sub(view.run.timeline.begin_ns) as f64 / NS_PER_S
}

fn sentence(event: &Event) -> String {
    let module = label(&event.module_id);
    let node = label(&event.node_id);
    let text = match (event.event, &event.from_node_id) {
        (PlacementKind::Migrate, Some(from)) => format!("{module} migrates from {} to {node}", label(from)),
        (PlacementKind::Migrate, None) => format!("{module} migrates to {node}"),
        (PlacementKind::Scale, _) => match event.replicas {
            Some(replicas) => format!("{module} is scaled to {replicas} replicas"),
            None => format!("{module} is scaled"),
        },
        (PlacementKind::Start, _) => format!("{module} starts on {node}"),
        (PlacementKind::Stop, _) => format!("{module} stops on {node}"),
    };
    cut(&text, MARK_MAX)
}

fn table(view: &View, rows: usize) -> Table {
    let columns = vec![
        Column::number("start", "From"),
        Column::number("calls", "Invocations"),
        Column::number("rate", "Rate"),
        Column::number("errors", "Errors"),
        Column::number("in_flight", "Sampled in system"),
        Column::number("busy", "Busy"),
        Column::number("p50", "Response p50"),
        Column::number("p95", "p95"),
        Column::number("p99", "p99"),
    ];
    let caption = "Rates, requests in the system, utilisation and response times over time";
    let mut table = Table::new(&view.id("time-table"), caption, columns);
    let buckets = &view.run.timeline.run.buckets;
    for (index, bucket) in buckets.iter().enumerate().take(rows) {
        let rate = view.covered_s(index).map(|seconds| bucket.calls as f64 / seconds);
        let bins = &bucket.times[Time::Response as usize].bins;
        let of = |fraction| optional(quantile(bins, fraction), Unit::Nanoseconds);
        table.row(Row::new([
            view.start_of(index),
            exact(bucket.calls),
            optional(rate, Unit::PerSecond),
            errors(bucket.errors, bucket.calls),
            optional(bucket.in_flight, Unit::Count),
            optional(bucket.utilisation, Unit::Share),
            of(0.5),
            of(0.95),
            of(0.99),
        ]));
    }
    let place = "in cctf stats --from … --to …";
    table.left_out(
        buckets.len().saturating_sub(rows),
        ["interval is", "intervals are"],
        place,
    );
    table
}

fn events(view: &View, rows: usize) -> Html {
    if view.run.events.is_empty() {
        return Html::new();
    }
    let columns = vec![
        Column::number("at", "At"),
        Column::text("event", "Event"),
        Column::text("instance", "Instance"),
        Column::text("source", "Source"),
        Column::text("reason", "Reason"),
    ];
    let mut table = Table::new(&view.id("events-table"), "Placement events", columns);
    for event in view.run.events.iter().take(rows) {
        let source = if event.inferred {
            "inferred from telemetry"
        } else {
            "reported"
        };
        table.row(Row::new([
            Html::text(&duration(at_s(view, event) * NS_PER_S)),
            shown(&sentence(event)),
            shown_or_none(event.instance_id.as_deref()),
            Html::text(source),
            shown_or_none(event.reason.as_deref()),
        ]));
    }
    let more = view.run.events.len().saturating_sub(rows);
    table.left_out(more, ["event is", "events are"], "in placement_events.jsonl.");
    let times = "Times are relative to the first invocation; what started before has a negative one.";
    element("details")
        .child(element("summary").child("Placement events"))
        .child(element("p").class("note").child(times))
        .child(table.html())
        .build()
}
