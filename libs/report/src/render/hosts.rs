//! [`hosts`]: CPU and memory of the nodes over time.

use page::charts::lines::{Line, Lines, SERIES_MAX, lines};
use page::figure::figure;
use page::html::{Html, element};
use page::number::{Unit, counted, optional};
use page::table::{Column, Row, Table};

use super::names::{label, shown};
use super::over_time::titled;
use super::view::View;
use crate::model::Host;

const BYTES_PER_MB: f64 = 1_048_576.0;

pub fn hosts(view: &View, rows: usize) -> Html {
    let hosts = &view.run.hosts;
    if hosts.is_empty() {
        return element("p")
            .child("No host was sampled: host_metrics.jsonl has no rows.")
            .build();
    }
    // If there is room for few rows only, the charts have few lines, too.
    let nodes = rows.clamp(1, SERIES_MAX);
    let cpu = ("cpu", "CPU of the hosts");
    let mut html = chart(view, nodes, cpu, Unit::Percent, |host| host.cpu_util.clone());
    let memory = ("memory", "Used memory of the hosts");
    html.push(chart(view, nodes, memory, Unit::Bytes, |host| {
        host.mem_used_mb
            .iter()
            .map(|mb| mb.map(|mb| mb * BYTES_PER_MB))
            .collect()
    }));
    let note = match hosts.len() > nodes {
        true => format!("The charts show the first {nodes} of {} nodes.", hosts.len()),
        false => "The samples are those of the host, with everything else that runs on it.".to_owned(),
    };
    figure("CPU and memory of the hosts", html, &table(view, rows), note)
}

fn chart(
    view: &View,
    nodes: usize,
    (id, title): (&str, &str),
    unit: Unit,
    values: fn(&Host) -> Vec<Option<f64>>,
) -> Html {
    let hosts = view.run.hosts.iter().take(nodes);
    let series = hosts.map(|host| Line {
        name: label(&host.node),
        values: values(host),
    });
    let series: Vec<Line> = series
        .filter(|line| line.values.iter().any(Option::is_some))
        .collect();
    if series.is_empty() {
        return element("p").child(format!("{title}: not recorded.")).build();
    }
    let highest = series
        .iter()
        .flat_map(|line| line.values.iter().flatten().copied());
    let highest = highest.fold(f64::NEG_INFINITY, f64::max);
    let drawn = lines(&Lines {
        id: view.id(&format!("host-{id}-chart")),
        title: title.to_owned(),
        description: format!(
            "{}, at most {}.",
            counted(series.len() as u64, "node", "nodes"),
            unit.format(highest)
        ),
        time: view.axis(),
        unit,
        series,
        events: Vec::new(),
    });
    titled(title, drawn)
}

fn table(view: &View, rows: usize) -> Table {
    let columns = vec![
        Column::text("node", "Node"),
        Column::text("stage", "Stage"),
        Column::number("cpu_mean", "CPU mean"),
        Column::number("cpu_max", "CPU highest"),
        Column::number("memory_mean", "Memory used, mean"),
        Column::number("memory_max", "Memory used, highest"),
        Column::number("free_min", "Memory available, lowest"),
    ];
    let mut table = Table::new(&view.id("hosts-table"), "CPU and memory over time", columns);
    for host in view.run.hosts.iter().take(rows) {
        let bytes = |mb: Option<f64>| Html::text(&optional(mb.map(|mb| mb * BYTES_PER_MB), Unit::Bytes));
        let percent = |value: Option<f64>| Html::text(&optional(value, Unit::Percent));
        table.row(Row::new([
            shown(&host.node),
            shown(&host.stage),
            percent(mean(&host.cpu_util)),
            percent(known(&host.cpu_util).reduce(f64::max)),
            bytes(mean(&host.mem_used_mb)),
            bytes(known(&host.mem_used_mb).reduce(f64::max)),
            bytes(known(&host.mem_free_mb).reduce(f64::min)),
        ]));
    }
    let more = view.run.hosts.len().saturating_sub(rows);
    table.left_out(more, ["node is", "nodes are"], "in host_metrics.jsonl.");
    table
}

fn known(values: &[Option<f64>]) -> impl Iterator<Item = f64> {
    values.iter().flatten().copied()
}

fn mean(values: &[Option<f64>]) -> Option<f64> {
    let count = known(values).count();
    (count > 0).then(|| known(values).sum::<f64>() / count as f64)
}
