//! [`calls`]: the calls between modules, as a graph with rates, errors and times, and as a table. [`links`]: a table of the
//! calls between nodes.

use analyze::stats::cells::{Key, OTHER_NAME};
use analyze::stats::figures::{Time, per_second};
use analyze::stats::group::Group;
use analyze::stats::load::Load;
use page::charts::graph::{Edge as Line, Graph as Chart, Node, NodeKind, graph};
use page::figure::figure;
use page::html::{Html, element};
use page::number::{Unit, counted, duration, exact, optional, share};
use page::table::{Column, Row, Table};

use super::collapse::{Flow, Graph, Reach, Vertex, collapse};
use super::figures::{errors, load, mean, quantile};
use super::names::{label, shown, shown_or_none};
use super::view::View;
use crate::model::{Edge, EdgeEnd};

const OUTSIDE: &str = "callers without telemetry";

pub fn calls(view: &View, rows: usize) -> Html {
    let edges = &view.run.edges;
    if edges.is_empty() {
        return element("p").child("No call was recorded.").build();
    }
    let modules: Vec<&Key> = view.modules.iter().map(|group| &group.key).collect();
    let reach = Reach::beside(rows);
    let collapsed = collapse(edges, &modules, reach);
    figure(
        "Who calls whom",
        chart(view, &collapsed),
        &table(view, rows),
        rule(&collapsed, reach),
    )
}

/// Explains the graph, and states how many modules and peers were joined.
fn rule(graph: &Graph<'_>, reach: Reach) -> String {
    let mut text = "An edge shows calls per second, and the 95th percentile of their duration at the caller, or their mean where \
                    several edges became one. The line is thicker the more calls it has."
        .to_owned();
    if graph.other_modules > 0 {
        text += &format!(
            " The {} modules with the most response time have a node of their own; the other {} are one node.",
            reach.modules, graph.other_modules
        );
    }
    if graph.other_peers > 0 {
        text += &format!(
            " So have the {} peers without invocations that have the most calls; the other {} are one node.",
            reach.peers, graph.other_peers
        );
    }
    text
}

fn chart(view: &View, collapsed: &Graph<'_>) -> Html {
    let vertices = collapsed.vertices();
    let index = |vertex: &Vertex| {
        vertices
            .iter()
            .position(|known| known == vertex)
            .unwrap_or(usize::MAX)
    };
    let nodes = vertices
        .iter()
        .map(|vertex| node(view, collapsed, *vertex))
        .collect();
    let edges = collapsed.flows.iter().map(|((from, to), flow)| {
        let failed = flow.errors as f64 / (flow.calls as f64).max(1.0);
        let rate = flow.calls as f64 / view.seconds().max(f64::MIN_POSITIVE);
        Line {
            from: index(from),
            to: index(to),
            rate,
            errors: failed,
            label: edge_label(flow, rate),
            tip: edge_tip(view, collapsed, (*from, *to), flow),
        }
    });
    graph(&Chart {
        id: view.id("graph-chart"),
        title: "Who calls whom".to_owned(),
        description: format!(
            "{} and {}.",
            counted(vertices.len() as u64, "node", "nodes"),
            counted(collapsed.flows.len() as u64, "edge", "edges")
        ),
        edges: edges.collect(),
        nodes,
    })
}

/// The rate (above the line) and the time (below it). The chart adds the share of failed calls.
fn edge_label(flow: &Flow, rate: f64) -> String {
    let time = match flow.p95_ns {
        Some(ns) => format!("p95 {}", duration(ns as f64)),
        None => format!("mean {}", optional(flow.mean_ns(), Unit::Nanoseconds)),
    };
    format!("{}\n{time}", Unit::PerSecond.format(rate))
}

fn edge_tip(view: &View, graph: &Graph<'_>, ends: (Vertex, Vertex), flow: &Flow) -> String {
    format!(
        "{} to {}: {}, {} failed, mean {}",
        name(view, graph, ends.0),
        name(view, graph, ends.1),
        counted(flow.calls, "call", "calls"),
        exact(flow.errors),
        optional(flow.mean_ns(), Unit::Nanoseconds)
    )
}

fn name(view: &View, graph: &Graph<'_>, vertex: Vertex) -> String {
    match vertex {
        Vertex::Outside => OUTSIDE.to_owned(),
        Vertex::Module(position) => label(&view.names.module(&view.modules[position].key)),
        Vertex::OtherModules if graph.other_modules == 0 => "other modules".to_owned(),
        Vertex::OtherModules => format!("{} other modules", graph.other_modules),
        Vertex::Peer(position) => label(graph.peers[position]),
        Vertex::OtherPeers => format!("{} other peers", graph.other_peers),
    }
}

fn node(view: &View, graph: &Graph<'_>, vertex: Vertex) -> Node {
    let (kind, detail, tip) = match vertex {
        Vertex::Module(position) => {
            let group = view.modules[position];
            let busy = group
                .utilisation()
                .map_or_else(String::new, |busy| format!(", {} busy", share(busy)));
            let rate = optional(group.rate(), Unit::PerSecond);
            (NodeKind::Module, format!("{rate}{busy}"), node_tip(view, group))
        }
        Vertex::OtherModules => (
            NodeKind::Group,
            String::new(),
            "Modules with less response time".to_owned(),
        ),
        Vertex::Outside => (
            NodeKind::External,
            String::new(),
            "Callers that are not in the files".to_owned(),
        ),
        Vertex::Peer(_) => (
            NodeKind::External,
            String::new(),
            "It has no invocations in the files".to_owned(),
        ),
        Vertex::OtherPeers => (
            NodeKind::Group,
            String::new(),
            "Peers with fewer calls".to_owned(),
        ),
    };
    Node {
        name: name(view, graph, vertex),
        detail,
        tip,
        kind,
    }
}

fn node_tip(view: &View, group: &Group) -> String {
    format!(
        "{}: {}, mean response {}",
        label(&view.names.module(&group.key)),
        counted(group.sums.calls, "invocation", "invocations"),
        optional(group.sums.of(Time::Response).mean_ns(), Unit::Nanoseconds)
    )
}

fn table(view: &View, rows: usize) -> Table {
    let columns = vec![
        Column::text("from", "From"),
        Column::text("to", "To"),
        Column::number("calls", "Calls"),
        Column::number("rate", "Rate"),
        Column::number("errors", "Errors"),
        Column::number("mean", "Mean")
            .tip("Duration at the caller; of calls from outside, the response time."),
        Column::number("p50", "p50"),
        Column::number("p95", "p95"),
        Column::number("p99", "p99"),
        Column::number("bytes_out", "Bytes sent"),
        Column::number("bytes_in", "Bytes received"),
    ];
    let mut table = Table::new(&view.id("calls-table"), "Calls between modules", columns);
    for edge in view.run.edges.iter().take(rows) {
        table.row(edge_row(view, edge));
    }
    let more = view.run.edges.len().saturating_sub(rows);
    let place = "less time; all calls are in calls.jsonl.";
    table.left_out(more, ["pair has", "pairs have"], place);
    table
}

fn edge_row(view: &View, edge: &Edge) -> Row {
    let from = match &edge.from {
        Some(key) => shown(&view.names.module(key)),
        None => Html::text(if edge.to == EdgeEnd::Other {
            OTHER_NAME
        } else {
            OUTSIDE
        }),
    };
    let to = match &edge.to {
        EdgeEnd::Module(key) => shown(&view.names.module(key)),
        EdgeEnd::External(peer) => shown(peer),
        EdgeEnd::Other => Html::text(OTHER_NAME),
    };
    let rate = per_second(edge.calls, view.run.stats.time_ns);
    let time = |ns: Option<f64>| Html::text(&optional(ns, Unit::Nanoseconds));
    let [p50, p95, p99] = edge.quantiles_ns.map(|ns| time(ns.map(|ns| ns as f64)));
    Row::new([
        from,
        to,
        Html::text(&exact(edge.calls)),
        Html::text(&optional(rate, Unit::PerSecond)),
        Html::text(&errors(edge.errors, edge.calls)),
        time(edge.mean_ns()),
        p50,
        p95,
        p99,
        Html::text(&optional(edge.bytes_out.mean(), Unit::Bytes)),
        Html::text(&optional(edge.bytes_in.mean(), Unit::Bytes)),
    ])
}

pub fn links(view: &View, rows: usize) -> Html {
    if view.links.is_empty() {
        return element("p")
            .child("No invocation has the row of its call, so there is no link.")
            .build();
    }
    let columns = vec![
        Column::text("from", "From node"),
        Column::text("to", "To node"),
        Column::number("calls", "Calls"),
        Column::number("rate", "Rate"),
        Column::number("network_mean", "Network mean")
            .tip("Both directions: time of the call outside of the invocation."),
        Column::number("network_p50", "p50"),
        Column::number("network_p95", "p95"),
        Column::number("network_p99", "p99"),
        Column::number("bytes_in", "Bytes there"),
        Column::number("bytes_out", "Bytes back"),
    ];
    let mut table = Table::new(&view.id("links-table"), "Links between nodes", columns);
    for group in view.links.iter().take(rows) {
        let of = |index| quantile(group, Time::Network, index);
        table.row(Row::new([
            shown_or_none(group.key.from_node.as_deref()),
            shown_or_none(group.key.node.as_deref()),
            Html::text(&exact(group.sums.calls)),
            load(group, Load::Rate),
            mean(group, Time::Network),
            of(0),
            of(1),
            of(2),
            load(group, Load::BytesIn),
            load(group, Load::BytesOut),
        ]));
    }
    let more = view.links.len().saturating_sub(rows);
    table.left_out(more, ["is", "are"], "in cctf stats --by link.");
    let note = "A link is the node of a caller and the node of the invocation. Network times compare durations, so they do not \
                depend on the nodes' clocks.";
    let mut html = element("p").class("note").child(note).build();
    html.push(table.html());
    html
}
