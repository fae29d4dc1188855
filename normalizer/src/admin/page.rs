//! [`page`]: the live page as HTML. It shows the state at load time; its script then follows the events.

use ::page::document::{Document, Section};
use ::page::figure::figure;
use ::page::html::{Html, element};
use ::page::summary::{Tile, tiles};
use ::page::table::{Row, Table};

use super::view::{Cells, View};

/// Renders the page for a state.
pub fn page(view: &View) -> String {
    let document = Document {
        title: "CCTF normalizer".to_owned(),
        subtitle: subtitle(view),
        sections: vec![
            Section::new("rates", "Rates", rates(view)),
            Section::new("runs", "Runs", runs(view)),
            Section::new("modules", "Modules", modules(view)),
            Section::new("nodes", "Nodes", table(&view.tables.nodes).html()),
            Section::new("queue", "Queue and journal", queue(view)),
            Section::new("received", "Received", table(&view.tables.received).html()),
            Section::new("rejects", "Rejected", table(&view.tables.rejects).html()),
            Section::new("memory", "Memory", table(&view.tables.memory).html()),
        ],
        footer: Html::markup(
            "<p>The same figures for programs: <a href=\"/metrics\">/metrics</a> (Prometheus).</p>",
        ),
        styles: vec![include_str!("live.css")],
        scripts: vec![include_str!("live.js")],
        connects_to_origin: true,
        ..Document::default()
    };
    document.html()
}

/// The script replaces the sentence in `#live-status`.
fn subtitle(view: &View) -> Html {
    let (class, sign) = match view.is_ready {
        true => ("badge good", "✓"),
        false => ("badge bad", "✕"),
    };
    let sign = element("span")
        .class("sign")
        .attr("aria-hidden", "true")
        .child(sign);
    let badge = element("span")
        .class(class)
        .attr("id", "readiness")
        .child(sign)
        .child(element("span").child(view.status));
    let snapshot = format!(
        "Snapshot of {}. Reload the page to update it: it updates itself only with JavaScript.",
        view.at
    );
    let status = element("span")
        .attr("id", "live-status")
        .attr("role", "status")
        .child(snapshot);
    let updated = element("span").attr("id", "updated");
    Html::from_iter([badge, status, updated])
}

fn rates(view: &View) -> Html {
    let tile = |line: &super::chart::Line| Tile {
        key: line.key.to_owned(),
        label: line.label.to_owned(),
        value: line.value.clone(),
        detail: line.html(),
    };
    let charts: Vec<Tile> = view.lines.iter().map(tile).collect();
    let behind = table(&view.tables.rates);
    figure("Each second of the last minute", tiles(&charts), &behind, "")
}

fn runs(view: &View) -> Html {
    let hint = element("p").child("The report of the newest run, as one offline HTML file:");
    let code = element("code").attr("id", "report-command").child(&view.command);
    let copy = element("button")
        .attr("type", "button")
        .attr("id", "copy-command")
        .flag("hidden")
        .child("Copy");
    let copied = element("span").attr("id", "copied").attr("role", "status");
    let command = element("div")
        .class("command")
        .child(code)
        .child(copy)
        .child(copied);
    let mut html = table(&view.tables.runs).html();
    html.push(hint);
    html.push(command);
    html
}

fn modules(view: &View) -> Html {
    let window = element("span").attr("data-text", "window").child(&view.window);
    let note = element("p")
        .class("note")
        .child("Modules and nodes: invocations whose rows were written in the last ")
        .child(window)
        .child(". A row waits for its caller for up to the join window.");
    let mut html = note.build();
    html.push(table(&view.tables.modules).html());
    html
}

fn queue(view: &View) -> Html {
    let tile = |figure: &super::view::Figure| Tile {
        key: figure.key.to_owned(),
        label: figure.label.to_owned(),
        value: figure.value.clone(),
        detail: Html::new(),
    };
    let all: Vec<Tile> = view.tiles.iter().map(tile).collect();
    tiles(&all)
}

fn table(cells: &Cells) -> Table {
    let mut table = Table::new(cells.id, cells.caption, cells.columns.clone());
    for row in &cells.rows {
        table.row(Row::new(row));
    }
    // An empty sentence is rendered, too, because the script fills it later.
    table.more = Some(cells.more.clone());
    table
}
