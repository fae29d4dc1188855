//! [`modules`]: figures of modules, and the parts of their response times. [`nodes`] and [`endpoints`]: figures of nodes and of
//! endpoints.

use analyze::stats::figures::Time;
use analyze::stats::group::Group;
use analyze::stats::load::Load;
use page::charts::parts::Part;
use page::charts::stacked::{Bar, Stacked, stacked};
use page::figure::figure;
use page::html::{Html, element};
use page::number::{Unit, exact, optional};
use page::table::{Column, Row, Table};

use super::figures::{cpu_mean, effective, errors_of, load as certain, mean, quantile};
use super::names::{endpoint, label, shown, shown_or_none};
use super::view::{View, endpoint_row};
use crate::model::CpuEstimate;

/// Maximum number of bars of the composition.
const BARS_MAX: usize = 30;

pub fn modules(view: &View, rows: usize) -> Html {
    if view.modules.is_empty() {
        return element("p").child("The run has no module.").build();
    }
    let note = "Modules with the largest total response time come first. Below a figure stands its 95% interval, which takes \
                into account that neighbouring requests delay each other. “too short” and “too few” stand where the run does not support one.";
    let mut html = element("p").class("note").child(note).build();
    let kind = Kind {
        ids: ["modules-table", "load-table"],
        name: "module",
        head: "Module",
        groups: &view.modules,
        shown: &|group| shown(&view.names.module(&group.key)),
    };
    html.push(times(view, &kind, rows).html());
    html.push(load(view, &kind, rows).html());
    html.push(composition(view, rows.min(BARS_MAX)));
    html
}

pub fn nodes(view: &View, rows: usize) -> Html {
    if view.nodes.is_empty() {
        return element("p").child("The run has no node.").build();
    }
    let note = "A node is a machine. Its figures are those of all modules on it. Nodes with the largest total response time come first.";
    let mut html = element("p").class("note").child(note).build();
    let kind = Kind {
        ids: ["nodes-table", "nodes-load-table"],
        name: "node",
        head: "Node",
        groups: &view.nodes,
        shown: &|group| shown_or_none(group.key.node.as_deref()),
    };
    html.push(times(view, &kind, rows).html());
    html.push(load(view, &kind, rows).html());
    html
}

/// A kind of group: module or node. Each kind has two tables: one of times, one of load.
struct Kind<'a> {
    ids: [&'static str; 2],
    /// The name that `cctf stats --by` takes.
    name: &'static str,
    head: &'static str,
    groups: &'a [&'a Group],
    shown: &'a dyn Fn(&Group) -> Html,
}

fn times(view: &View, kind: &Kind, rows: usize) -> Table {
    let mut columns = vec![Column::text(kind.name, kind.head)];
    columns.extend(time_columns());
    let caption = format!("Times of {}s", kind.name);
    let mut table = Table::new(&view.id(kind.ids[0]), &caption, columns);
    for (index, group) in kind.groups.iter().take(rows).enumerate() {
        let mut cells = vec![(kind.shown)(group)];
        cells.extend(time_cells(group, None));
        table.row(Row::new(cells).key(&format!("{}{index}", &kind.name[..1])));
    }
    left_out(&mut table, kind.groups.len(), kind.name);
    table
}

/// Columns of the table of times, for modules, nodes and endpoints.
fn time_columns() -> Vec<Column> {
    vec![
        Column::number("calls", "Invocations"),
        Column::number("rate", "Rate"),
        Column::number("errors", "Errors")
            .tip("Status of 500 or more, or an error_type. The interval is that of their share."),
        Column::number("response_mean", "Response mean").tip("From arrival to end: queue and service time."),
        Column::number("response_p50", "p50"),
        Column::number("response_p95", "p95"),
        Column::number("response_p99", "p99"),
        Column::number("queue_mean", "Queue mean"),
        Column::number("service_mean", "Service mean")
            .tip("From the start of processing to its end, with downstream calls."),
        Column::number("cpu_mean", "CPU mean")
            .tip("≈ marks an estimate of cctf stats --cpu: the CPU time of a request in its whole process."),
        Column::number("network_mean", "Network mean")
            .tip("Time of a call outside of the invocation that it caused."),
    ]
}

fn time_cells(group: &Group, cpu: Option<&CpuEstimate>) -> Vec<Html> {
    let sums = &group.sums;
    vec![
        Html::text(&exact(sums.calls)),
        certain(group, Load::Rate),
        errors_of(group),
        mean(group, Time::Response),
        quantile(group, Time::Response, 0),
        quantile(group, Time::Response, 1),
        quantile(group, Time::Response, 2),
        mean(group, Time::Queue),
        mean(group, Time::Service),
        cpu_mean(group, cpu),
        mean(group, Time::Network),
    ]
}

fn load(view: &View, kind: &Kind, rows: usize) -> Table {
    let columns = vec![
        Column::text(kind.name, kind.head),
        Column::number("cv", "Arrival cv").tip("Coefficient of variation of the gaps between arrivals; 1 is that of a Poisson process."),
        Column::number("system", "In system").tip("Time average by Little's law, from the rows."),
        Column::number("sampled", "Sampled").tip("Time average of the sampled in_flight, independent of the rows."),
        Column::number("slots", "Slots").tip("Time average of worker slots."),
        Column::number("busy", "Busy").tip("Busy time of slots, divided by slots and time."),
        Column::number("cpu_share", "CPU share").tip("CPU time, divided by service time."),
        Column::number("bytes_in", "Bytes in").tip("Mean of the body received."),
        Column::number("bytes_out", "Bytes out").tip("Mean of the body sent."),
        Column::number("effective", "Effective").tip("Effective sample size of the mean response time: so many independent values would show it as well."),
    ];
    let caption = format!("Load of {}s in the whole run", kind.name);
    let mut table = Table::new(&view.id(kind.ids[1]), &caption, columns);
    for group in kind.groups.iter().take(rows) {
        table.row(Row::new([
            (kind.shown)(group),
            certain(group, Load::Variation),
            certain(group, Load::Concurrency),
            Html::text(&optional(group.in_flight, Unit::Count)),
            Html::text(&optional(group.slots(), Unit::Count)),
            certain(group, Load::Utilisation),
            certain(group, Load::CpuShare),
            certain(group, Load::BytesIn),
            certain(group, Load::BytesOut),
            Html::text(&effective(group, Time::Response)),
        ]));
    }
    left_out(&mut table, kind.groups.len(), kind.name);
    table
}

/// Mean duration of each part of an invocation. `None` if no value is known.
struct Composition {
    name: String,
    queue: Option<f64>,
    cpu: Option<f64>,
    /// Mean service time, which contains the CPU time.
    service: Option<f64>,
    network: Option<f64>,
}

impl Composition {
    /// Service time that is not CPU time. `None` if one of the two is unknown.
    fn other_service(&self) -> Option<f64> {
        Some((self.service? - self.cpu?).max(0.0))
    }

    /// The parts that are known. If the CPU time is unknown, the whole service time is one part.
    fn parts(&self) -> Vec<(Part, f64)> {
        let parts = [
            (Part::Queue, self.queue),
            (Part::Cpu, self.cpu),
            (Part::Service, self.other_service().or(self.service)),
            (Part::Network, self.network),
        ];
        let known = parts.into_iter().filter_map(|(part, ns)| Some((part, ns?)));
        known.collect()
    }
}

fn compositions(view: &View, rows: usize) -> Vec<Composition> {
    let of = |group: &&Group| {
        let mean = |time| group.sums.of(time).mean_ns();
        let service = mean(Time::Service);
        Composition {
            name: view.names.module(&group.key),
            queue: mean(Time::Queue),
            cpu: mean(Time::Cpu).map(|cpu| service.map_or(cpu, |service| cpu.min(service))),
            service,
            network: mean(Time::Network),
        }
    };
    view.modules.iter().take(rows).map(of).collect()
}

fn composition(view: &View, rows: usize) -> Html {
    let all = compositions(view, rows);
    let bars = all.iter().map(|of| Bar {
        label: label(&of.name),
        parts: of.parts(),
    });
    let chart = stacked(&Stacked {
        id: view.id("composition-chart"),
        title: "Mean time of an invocation by part".to_owned(),
        unit: Unit::Nanoseconds,
        bars: bars.collect(),
    });
    let columns = vec![
        Column::text("module", "Module"),
        Column::number("queue", "Queue"),
        Column::number("cpu", "CPU"),
        Column::number("service", "Other service"),
        Column::number("network", "Network"),
    ];
    let mut table = Table::new(
        &view.id("composition-table"),
        "Mean time of an invocation by part",
        columns,
    );
    for of in &all {
        let part = |ns: Option<f64>| Html::text(&optional(ns, Unit::Nanoseconds));
        table.row(Row::new([
            shown(&of.name),
            part(of.queue),
            part(of.cpu),
            part(of.other_service()),
            part(of.network),
        ]));
    }
    left_out(&mut table, view.modules.len(), "module");
    let note = "Means over the invocations whose value is known. The rest of the service time is waiting: for downstream calls, \
                disks, locks, a CPU, or a slot after a downstream call. Where the CPU time is unknown, a bar shows the whole service \
                time as one part. Network time is outside of the response time.";
    figure("What an invocation's time consists of", chart, &table, note)
}

pub fn endpoints(view: &View, rows: usize) -> Html {
    if view.endpoints.is_empty() {
        return element("p").child("The run has no endpoint.").build();
    }
    let mut columns = vec![
        Column::text("endpoint", "Endpoint"),
        Column::text("module", "Module"),
    ];
    columns.extend(time_columns());
    let mut table = Table::new(&view.id("endpoints-table"), "Endpoints", columns);
    for (index, group) in view.endpoints.iter().take(rows).enumerate() {
        let mut cells = vec![
            shown(&endpoint(&group.key)),
            shown(&view.names.module(&group.key)),
        ];
        cells.extend(time_cells(group, view.run.cpu_estimates.get(&group.key)));
        table.row(Row::new(cells).key(&endpoint_row(index)));
    }
    left_out(&mut table, view.endpoints.len(), "endpoint");
    table.html()
}

/// States where to find the groups that the table does not show.
fn left_out(table: &mut Table, groups: usize, by: &str) {
    let more = groups.saturating_sub(table.rows.len());
    table.left_out(more, ["is", "are"], &format!("in cctf stats --by {by}."));
}
