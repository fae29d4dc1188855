//! [`traces`]: the slowest, the median and the failed traces, each as a waterfall.

use analyze::survey::traces::upper_rows;
use analyze::trace::{Node, Placement, Root, Span, Trace};
use cctf_proto::cctf::Flag;
use page::charts::parts::Part;
use page::charts::waterfall::{ROWS_MAX, Step, Waterfall, waterfall};
use page::html::{Html, element};
use page::number::{Unit, counted, duration};

use super::budget::{Budget, fitted};
use super::names::{cut, label};
use super::view::View;
use crate::model::{Pick, PickedTrace};

/// Maximum length of the name of a trace's root, in characters.
const ROOT_MAX: usize = 60;
/// Maximum length of the text of a tip, in characters.
const TIP_MAX: usize = 200;

const NOTE: &str = "Traces are chosen by the response time of their root invocation, which is the time in the title. A trace that has \
                    several roots is shown for one of them. Of more than 4,096 roots, the median is that of a random sample. Marked \
                    rows are on the critical path: they determined when the first row ended. If a row ran on another node than its \
                    caller, its bar is centred in the bar of its call, because clocks of different nodes are never compared. Open a \
                    trace with Enter or a click.";

/// The traces. Each one has as many rows as fit into its share of the bytes.
pub fn traces(view: &View, bytes_max: usize) -> Html {
    let traces = &view.run.traces;
    if traces.is_empty() {
        return element("p").child("No trace was found.").build();
    }
    // Maximum size of the list's markup around the traces.
    let overhead = NOTE.len() + 200;
    let mut budget = Budget::new(bytes_max.saturating_sub(overhead), traces.len());
    let mut list = element("div").attr("id", view.id("trace-list")).class("traces");
    for (number, picked) in traces.iter().enumerate() {
        let html = fitted(budget.share(1), ROWS_MAX, |rows| {
            details(view, number, picked, rows)
        });
        budget.spend(html.as_str().len());
        list = list.child(html);
    }
    let mut html = element("p").class("note").child(NOTE).build();
    html.push(list);
    html
}

fn details(view: &View, number: usize, picked: &PickedTrace, rows: usize) -> Html {
    let trace = &picked.trace;
    let kind = match picked.pick {
        Pick::Slowest => "Slowest",
        Pick::Median => "Median",
        Pick::Failed => "Failed",
    };
    let first = || trace.nodes.first().map(|node| &node.span);
    let root = picked.root.as_ref().or_else(first);
    let all = trace.nodes.len() as u64 + picked.rows_left_out;
    let errors = match picked.failed {
        0 => String::new(),
        1 => ", 1 failed".to_owned(),
        failed => format!(", {failed} failed"),
    };
    // The text is one child, because the children of a summary are laid out side by side, and this text must wrap as a whole.
    let text = element("span")
        .child(element("strong").child(kind))
        .child(format!(": {} ", duration(root.map_or(0, Span::duration) as f64)))
        .child(element("bdi").child(root.map_or_else(String::new, root_name)))
        .child(format!(" ({}{errors}) ", counted(all, "row", "rows")))
        .child(element("code").child(trace.trace_id.to_string()));
    let summary = element("summary").child(text);
    let (shown, cut) = upper_rows(trace.clone(), rows);
    let left_out = picked.rows_left_out + cut;
    let more = (left_out > 0).then(|| {
        format!(
            "{}: cctf trace RUN {} shows all.",
            counted(left_out, "more row", "more rows"),
            trace.trace_id
        )
    });
    if trace.nodes.is_empty() {
        let sentence = element("p").child("None of its rows is valid, so there is nothing to draw.");
        return element("details")
            .class("trace")
            .child(summary)
            .child(sentence)
            .build();
    }
    let chart = waterfall(&Waterfall {
        id: view.id(&format!("trace-chart-{number}")),
        title: format!("{kind} trace {}", trace.trace_id),
        length_ns: length_ns(trace),
        rows: shown.nodes.iter().map(step).collect(),
        more,
    });
    element("details")
        .class("trace")
        .child(summary)
        .child(chart)
        .build()
}

/// The time from the start of the first row to the end of the last one.
fn length_ns(trace: &Trace) -> f64 {
    let ends = trace.nodes.iter().map(|node| node.interval().1);
    ends.max().unwrap_or(0).max(trace.duration()) as f64
}

fn root_name(span: &Span) -> String {
    let request = [span.method.as_deref(), span.path.as_deref()]
        .into_iter()
        .flatten();
    let request: Vec<&str> = request.collect();
    cut(&format!("{} {}", span.module_id, request.join(" ")), ROOT_MAX)
}

fn step(node: &Node) -> Step {
    let span = &node.span;
    Step {
        depth: node.depth,
        label: step_label(node),
        detail: detail(node),
        tip: cut(&tip(node), TIP_MAX),
        start_ns: node.start as f64,
        duration_ns: span.duration() as f64,
        parts: parts(node),
        is_critical: node.critical.is_some(),
        failed: span.is_error(),
    }
}

fn step_label(node: &Node) -> String {
    let span = &node.span;
    let mut parts = Vec::new();
    match span.is_call() {
        true => parts.push("→"),
        false => parts.push(span.module_id.as_str()),
    }
    parts.extend(
        [&span.method, &span.path, &span.name]
            .into_iter()
            .flatten()
            .map(String::as_str),
    );
    if span.is_call() && node.children == 0 {
        parts.extend(span.peer_module.as_deref().or(span.peer.as_deref()));
    }
    cut(&parts.join(" "), 48)
}

fn detail(node: &Node) -> String {
    let span = &node.span;
    let mut parts = Vec::new();
    if !span.is_call() {
        parts.push(label(&span.node));
    }
    match (&span.error_type, span.status) {
        (Some(class), _) => parts.push(label(class)),
        (None, Some(status)) if span.is_error() => parts.push(status.to_string()),
        _ => {}
    }
    match node.root {
        Some(Root::Orphan) => parts.push("orphan".to_owned()),
        Some(Root::AncestorMissing) => parts.push("the row above is missing".to_owned()),
        Some(Root::Cycle) => parts.push("below itself".to_owned()),
        Some(Root::Root) | None => {}
    }
    parts.join(", ")
}

fn tip(node: &Node) -> String {
    let span = &node.span;
    let mut parts = vec![format!(
        "{} at {}",
        duration(span.duration() as f64),
        duration(node.start as f64)
    )];
    let mut known = |name: &str, ns: Option<i64>| {
        if let Some(ns) = ns {
            parts.push(format!("{name} {}", Unit::Nanoseconds.format(ns as f64)));
        }
    };
    known("queue", span.queue);
    known("service", span.service);
    known("CPU", span.cpu);
    known("network", span.net);
    known("own", Some(node.own));
    known("on the critical path", node.critical);
    match node.placement {
        Placement::Clock => {}
        Placement::Centred => parts.push("placed in the middle of its call".to_owned()),
        Placement::Earliest => parts.push("placed at its earliest possible start".to_owned()),
    }
    if let Some(status) = span.status {
        parts.push(format!("status {status}"));
    }
    let flags = Flag::ALL.iter().filter(|&&flag| span.flags.has(flag));
    parts.extend(flags.map(|flag| flag.as_str().to_owned()));
    parts.join(", ")
}

/// The known parts of a row's time.
fn parts(node: &Node) -> Vec<(Part, f64)> {
    let span = &node.span;
    let all = span.duration();
    let own = node.own.clamp(0, all);
    if span.is_call() {
        // If the invocation of a call has no row, the parts of the call's time are unknown.
        return match node.children {
            0 => Vec::new(),
            _ => vec![
                (Part::Network, own as f64 / 2.0),
                (Part::Callee, (all - own) as f64),
                (Part::Network, own as f64 / 2.0),
            ],
        };
    }
    let queue = span.work_start.saturating_sub(span.start).clamp(0, all);
    let own = own.min(all - queue);
    let cpu = span.cpu.unwrap_or(0).clamp(0, own);
    let parts = [
        (Part::Queue, queue),
        (Part::Cpu, cpu),
        (Part::Service, own - cpu),
        (Part::Callee, all - queue - own),
    ];
    let known = parts.into_iter().filter(|(_, ns)| *ns > 0);
    known.map(|(part, ns)| (part, ns as f64)).collect()
}
