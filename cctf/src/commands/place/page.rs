//! [`page`]: a ranking of placements as an offline page, in the design of the report.

use page::document::{Document, Section};
use page::html::{Html, element};
use page::summary::{Tile, Verdict, badge, notice, tiles};
use page::table::{Column, Row, Table};
use place::evaluation::Metric;
use place::model::{Placed, Report};
use place::uncertainty::Interval;

use super::table::{interval, name, too_short};
use crate::commands::cells::{UNKNOWN, cut};

/// Maximum number of rows of a table. The JSON output has all.
const ROWS_MAX: usize = 60;
/// Maximum number of notes and reasons.
const NOTES_MAX: usize = 40;
/// Maximum width of a text from telemetry or tiers.
const TEXT_MAX: usize = 300;

/// The whole page.
pub fn page(report: &Report) -> String {
    let document = Document {
        title: format!("Placements of {}", cut(&report.run_id, TEXT_MAX)),
        subtitle: match report.placements.first().and_then(|placed| placed.rank) {
            Some(_) => badge(Verdict::Good, &format!("ranked by {}", report.by.as_str())),
            None => badge(Verdict::Bad, "nothing is predicted"),
        },
        sections: vec![
            Section::new("summary", "Summary", summary(report)),
            Section::new("placements", "Placements", placements(report)),
            Section::new("busy", "Utilisation", busy(report)),
            Section::new("calibration", "Calibration", calibration(report)),
            Section::new("notes", "Notes", notes(report)),
        ],
        footer: Html::text("Written by cctf place. docs/placement.md has the method."),
        ..Document::default()
    };
    document.html()
}

fn summary(report: &Report) -> Html {
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    let tile = |label: &str, placed: Option<&Placed>| Tile {
        label: format!("{label}, {}", report.by.as_str()),
        value: placed.map_or_else(
            || UNKNOWN.to_owned(),
            |placed| milliseconds(report.by.of(&placed.response_ms).value),
        ),
        detail: placed.map_or_else(Html::new, |placed| {
            Html::text(&range(report.by.of(&placed.response_ms)))
        }),
        ..Tile::default()
    };
    let best = report.placements.iter().find(|placed| placed.rank == Some(1));
    let mut all = vec![tile("Best placement", best), tile("As recorded", recorded)];
    all.push(Tile {
        label: "The first is the best".to_owned(),
        value: report
            .probability_first_is_best
            .map_or_else(|| UNKNOWN.to_owned(), |probability| format!("≥ {probability:.2}")),
        detail: Html::text("probability, of those listed"),
        ..Tile::default()
    });
    all.push(Tile {
        label: "Simulated".to_owned(),
        value: report.search.simulated.to_string(),
        detail: Html::text(&format!(
            "assignments, {} not predicted",
            report.search.not_predicted
        )),
        ..Tile::default()
    });
    let mut html = tiles(&all);
    if let Some(best) = best {
        let text = format!("Best: {}", name(best, recorded));
        html.push(notice(Verdict::Good, cut(&text, TEXT_MAX).as_str()));
    }
    if let Some(refusal) = &report.refused_because {
        html.push(notice(Verdict::Bad, cut(refusal, TEXT_MAX).as_str()));
    }
    for proposed in &report.strategies {
        let regret = match proposed.regret {
            Some(regret) => format!("regret {:.1}%", 100.0 * regret),
            None => "not predicted".to_owned(),
        };
        let text = format!("Strategy {} ({}): {regret}", proposed.strategy, proposed.name);
        html.push(notice(Verdict::Neutral, cut(&text, TEXT_MAX).as_str()));
    }
    html
}

fn placements(report: &Report) -> Html {
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    let columns = vec![
        Column::text("placement", "Placement"),
        Column::number("rank", "Rank"),
        Column::number("p50", "p50").unit("ms"),
        Column::number("p95", "p95").unit("ms"),
        Column::number("p99", "p99").unit("ms"),
        Column::number("price", "Price").unit("per hour"),
        Column::number("power", "Power").unit("W"),
    ];
    let caption = "Placements with the response times of requests from outside, and 95% intervals";
    let mut table = Table::new("placements-table", caption, columns);
    for placed in report.placements.iter().take(ROWS_MAX) {
        let number =
            |value: Option<f64>| value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.3}"));
        let time = |metric: Metric| interval(metric.of(&placed.response_ms), placed.too_short.is_some());
        table.row(Row::new([
            cut(&name(placed, recorded), TEXT_MAX),
            placed
                .rank
                .map_or_else(|| UNKNOWN.to_owned(), |rank| rank.to_string()),
            time(Metric::P50),
            time(Metric::P95),
            time(Metric::P99),
            number(placed.price_per_hour),
            number(placed.power_w),
        ]));
    }
    let more = report.placements.len().saturating_sub(ROWS_MAX);
    table.left_out(more, ["placement is", "placements are"], "in ranking.json.");
    table.html()
}

/// Slots, CPUs and links of the best placement, and of the recorded one.
fn busy(report: &Report) -> Html {
    let best = report.placements.first();
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    let mut html = Html::new();
    for (id, caption, placed) in [
        ("busy-first", "The first placement", best),
        ("busy-recorded", "The recorded placement", recorded),
    ] {
        let Some(placed) = placed else { continue };
        let columns = vec![
            Column::text("what", "What"),
            Column::number("busy", "Busy").unit("% of the time"),
        ];
        let mut table = Table::new(id, caption, columns);
        let rows = uses(placed);
        for (what, busy) in rows.iter().take(ROWS_MAX) {
            table.row(Row::new([cut(what, TEXT_MAX), format!("{:.1}", 100.0 * busy)]));
        }
        let more = rows.len().saturating_sub(ROWS_MAX);
        table.left_out(more, ["row is", "rows are"], "in ranking.json.");
        html.push(table.html());
    }
    html
}

fn uses(placed: &Placed) -> Vec<(String, f64)> {
    let slots = placed.stations.iter().filter_map(|station| {
        let text = format!(
            "slots of {} ({}) on {}",
            station.module, station.instance, station.node
        );
        Some((text, station.utilisation?))
    });
    let nodes = placed.nodes.iter().map(|node| {
        let text = format!("CPUs of {}, {} cores", node.nodes.join(" and "), node.cores);
        (text, node.utilisation)
    });
    let links = placed
        .links
        .iter()
        .filter_map(|link| Some((format!("link {} to {}", link.u, link.v), link.utilisation?)));
    slots.chain(nodes).chain(links).collect()
}

fn calibration(report: &Report) -> Html {
    let columns = vec![
        Column::text("figure", "Figure"),
        Column::number("recorded", "Recorded").unit("ms"),
        Column::number("simulated", "Simulated").unit("ms"),
        Column::number("error", "Error").unit("%"),
    ];
    let caption = "The recorded placement, as recorded and as simulated";
    let mut table = Table::new("calibration-table", caption, columns);
    for figure in &report.calibration {
        table.row(Row::new([
            figure.metric.as_str().to_owned(),
            format!("{:.3}", figure.recorded_ms),
            format!("{:.3}", figure.simulated_ms),
            format!("{:+.1}", 100.0 * figure.error),
        ]));
    }
    table.html()
}

fn notes(report: &Report) -> Html {
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    let unpredicted = report.placements.iter().filter(|placed| placed.rank.is_none());
    let reasons = unpredicted.flat_map(|placed| {
        let of = |reason: &String| format!("{} is not predicted: {reason}", name(placed, recorded));
        placed.not_predicted_because.iter().map(of).collect::<Vec<_>>()
    });
    let counted = report.search.reasons.iter();
    let counted = counted.map(|reason| {
        format!(
            "{} assignments are not predicted: {}",
            reason.count, reason.reason
        )
    });
    let shortest = report.placements.iter().filter_map(|placed| placed.too_short);
    let short = shortest.min_by(f64::total_cmp).map(too_short);
    let all: Vec<String> = reasons
        .chain(counted)
        .chain(short)
        .chain(report.notes.iter().cloned())
        .collect();
    if all.is_empty() {
        return element("p").child("There is nothing to note.").build();
    }
    let items = all.iter().take(NOTES_MAX);
    let mut html = element("ul")
        .children(items.map(|note| element("li").child(cut(note, TEXT_MAX).as_str())))
        .build();
    if all.len() > NOTES_MAX {
        let more = format!("{} more notes are in ranking.json.", all.len() - NOTES_MAX);
        html.push(element("p").child(more.as_str()));
    }
    html
}

fn milliseconds(value: f64) -> String {
    format!("{value:.2} ms")
}

fn range(interval: Interval) -> String {
    format!("{:.2} to {:.2} ms", interval.low, interval.high)
}
