//! [`latency`]: the heat map of response times, and the elements with which a reader chooses a window of time in it.

use analyze::coarse::quantile;
use analyze::stats::figures::{QUANTILES, Time};
use page::charts::heat_map::{HeatMap, ROWS_MAX, heat_map};
use page::figure::figure;
use page::html::{Html, element};
use page::number::{NONE, Unit, counted, duration, exact, optional};
use page::table::{Column, Row, Table};

use super::figures::errors;
use super::heat::heat_rows;
use super::view::View;
use crate::pack::Packed;

pub fn latency(view: &View, rows: usize) -> Html {
    let buckets = &view.run.timeline.run.buckets;
    let Some(heat) = heat_rows(buckets, Time::Response, ROWS_MAX) else {
        let has_times = buckets
            .iter()
            .any(|bucket| bucket.times[Time::Response as usize].count > 0);
        let text = match has_times {
            true => "All known response times are 0.",
            false => "No invocation has a response time.",
        };
        return element("p").child(text).build();
    };
    let (low, high) = (heat.bounds[0], heat.bounds[heat.bounds.len() - 1]);
    let chart = heat_map(&HeatMap {
        id: view.id("heatmap-chart"),
        title: "Response times over time".to_owned(),
        description: format!(
            "Response times of all invocations from {} to {}; cells of a stronger colour have more invocations.",
            duration(low),
            duration(high)
        ),
        time: view.axis(),
        unit: Unit::Nanoseconds,
        bounds: heat.bounds,
        counts: heat.counts,
    });
    let chart = element("div")
        .attr("id", view.id("heatmap"))
        .class("heatmap")
        .child(chart);
    let note = "Response times of all invocations of all modules, on a logarithmic axis. Each column is an interval of the timeline.";
    let mut content = chart.build();
    content.push(controls(view));
    let mut html = figure("Response times over time", content, &table(view, rows), note);
    html.push(window(view));
    html
}

/// Whether the run has a heat map, in which a reader can choose a window.
pub fn has_map(view: &View) -> bool {
    heat_rows(&view.run.timeline.run.buckets, Time::Response, ROWS_MAX).is_some()
}

/// Id of the element with the sliders.
pub const CONTROLS: &str = "window-controls";

/// The sliders. They are hidden until the page's script has decoded the timeline.
fn controls(view: &View) -> Html {
    let last = view.axis().buckets;
    let slider = |name: &str, text: &str, value: usize| {
        let id = view.id(name);
        let input = element("input")
            .attr("type", "range")
            .attr("id", &id)
            .attr("min", 0)
            .attr("max", last)
            .attr("step", 1)
            .attr("value", value);
        element("label").attr("for", id).child(text).child(input)
    };
    let clear = element("button")
        .attr("type", "button")
        .attr("id", view.id("window-clear"))
        .child("Whole run");
    element("div")
        .attr("id", view.id(CONTROLS))
        .class("window-controls")
        .attr("role", "group")
        .attr("aria-label", "Window of time")
        .attr("data-width-s", view.bucket_s())
        .flag("hidden")
        .child(slider("window-from", "From", 0))
        .child(slider("window-to", "To", last))
        .child(clear)
        .child(
            element("p")
                .class("note")
                .child(
                    "Drag over the map, or move the sliders: the table below and the times of modules then describe this window \
                     of time. All other figures stay those of the whole run. Arrow keys move an end of the window, with Shift the whole window. Escape goes back to the whole run.",
                ),
        )
        .build()
}

/// A table of figures: those of the whole run, and those of the window, which the script fills in.
fn window(view: &View) -> Html {
    let columns = vec![
        Column::text("figure", "Figure"),
        Column::number("whole", "Whole run").tip("From all rows: quantiles within 1%."),
        Column::number("window", "Window")
            .tip("From intervals of the timeline: counts exact, means to four digits, quantiles within 5%."),
    ];
    let mut table = Table::new(&view.id("window-table"), "Figures of the window of time", columns);
    let sums = view.sums();
    let mut row = |key: &str, name: String, value: String| {
        table.row(Row::new([name, value, NONE.to_owned()]).key(key));
    };
    let rate = (view.seconds() > 0.0).then(|| sums.calls as f64 / view.seconds());
    row("calls", "Invocations".to_owned(), exact(sums.calls));
    row("rate", "Rate".to_owned(), optional(rate, Unit::PerSecond));
    row("errors", "Errors".to_owned(), errors(sums.errors, sums.calls));
    for time in [
        Time::Response,
        Time::Queue,
        Time::Service,
        Time::Cpu,
        Time::Network,
    ] {
        let times = sums.of(time);
        let count = times.sketch.count();
        if count == 0 {
            continue;
        }
        let mean = times.sum_ns as f64 / count as f64;
        row(
            &format!("{}_mean", time.name()),
            format!("{} mean", title(time)),
            duration(mean),
        );
        if time == Time::Response {
            for (name, fraction) in QUANTILES {
                let value = times.sketch.quantile(fraction).map(|ns| ns as f64);
                let text = optional(value, Unit::Nanoseconds);
                row(
                    &format!("{}_{name}", time.name()),
                    format!("{} {name}", title(time)),
                    text,
                );
            }
        }
    }
    let status = element("p")
        .attr("id", view.id("window-status"))
        .class("window-status")
        .attr("role", "status")
        .child("The figures describe the whole run.");
    element("div")
        .attr("id", view.id("window-summary"))
        .class("window-summary")
        .child(status)
        .child(table.html())
        .build()
}

/// Name of a kind of time at the beginning of a title.
pub fn title(time: Time) -> &'static str {
    match time {
        Time::Queue => "Queue",
        Time::Service => "Service",
        Time::Response => "Response",
        Time::Cpu => "CPU",
        Time::Network => "Network",
    }
}

fn table(view: &View, rows: usize) -> Table {
    let columns = vec![
        Column::number("start", "From"),
        Column::number("calls", "Invocations").tip("Those with a known response time."),
        Column::number("mean", "Mean"),
        Column::number("p50", "p50"),
        Column::number("p95", "p95"),
        Column::number("p99", "p99"),
    ];
    let mut table = Table::new(&view.id("latency-table"), "Response times over time", columns);
    let buckets = &view.run.timeline.run.buckets;
    for (index, bucket) in buckets.iter().enumerate().take(rows) {
        let time = &bucket.times[Time::Response as usize];
        let of = |fraction| optional(quantile(&time.bins, fraction), Unit::Nanoseconds);
        let mean = (time.count > 0).then(|| time.sum_ns as f64 / time.count as f64);
        table.row(Row::new([
            view.start_of(index),
            exact(time.count),
            optional(mean, Unit::Nanoseconds),
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

/// A sentence that states which figures the page can recompute for a window.
pub fn reach(view: &View, packed: Option<&Packed>) -> String {
    let modules = view.modules.len();
    match packed {
        None if !has_map(view) => String::new(),
        None => "The page has no room for the timeline, so no window can be chosen.".to_owned(),
        Some(packed) => {
            let modules = match packed.with_quantiles >= modules {
                true => "A window recomputes the table above, and the times of all modules".to_owned(),
                false => format!(
                    "A window recomputes quantiles for the run and the {} modules with the most response time, and counts and means \
                     for {} of {modules} modules",
                    packed.with_quantiles, packed.with_counts
                ),
            };
            format!(
                "{modules}. Of {} it recomputes {}. What it cannot recompute shows a dash. Nodes, calls and links always show the \
                 whole run.",
                counted(view.endpoints.len() as u64, "endpoint", "endpoints"),
                packed.endpoints
            )
        }
    }
}
