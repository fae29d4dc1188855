//! The gallery: one page with every chart and table, on synthetic and on hostile data.

use page::charts::graph::graph;
use page::charts::heat_map::heat_map;
use page::charts::lines::lines;
use page::charts::sparkline::sparkline;
use page::charts::stacked::stacked;
use page::charts::waterfall::waterfall;
use page::document::{Document, Section};
use page::figure::figure;
use page::html::{Html, element};
use page::number;
use page::summary::{Tile, Verdict, badge, notice, tiles};
use page::table::{Column, Row, Table};

use crate::{data, graphs, hostile};

pub fn document() -> Document {
    Document {
        title: "Gallery of the pages' design".to_owned(),
        subtitle: Html::from_iter([
            badge(Verdict::Good, "valid"),
            badge(Verdict::Warning, "2 warnings"),
            badge(Verdict::Bad, "3 errors"),
            badge(Verdict::Neutral, "live"),
            Html::text("12 min 30 s, 1.20M invocations"),
        ]),
        sections: vec![
            Section::new("summary", "Summary", summary()),
            Section::new("time", "Over time", over_time()),
            Section::new("latency", "Latency", latency()),
            Section::new("modules", "Modules", modules()),
            Section::new("calls", "Calls", calls()),
            Section::new("traces", "Traces", traces()),
            Section::new("hostile", hostile::TEXT, hostile_data()),
        ],
        footer: Html::text("Written by the example gallery."),
        data: vec![("blob".to_owned(), b"</script><script>alert(1)</script>".to_vec())],
        ..Document::default()
    }
}

fn summary() -> Html {
    let tile = |label: &str, value: String, detail: Html| Tile {
        key: label.to_owned(),
        label: label.to_owned(),
        value,
        detail,
    };
    let spark = sparkline("calls per second", &data::wave(60, 40.0, 15.0));
    Html::from_iter([
        tiles(&[
            tile("Calls", number::exact(1_203_456), spark),
            tile("Rate", number::rate(1604.6), Html::text("cv 1.02")),
            tile(
                "Response, p99",
                number::duration(48_300_000.0),
                Html::text("46.1 to 50.9 ms"),
            ),
            tile(
                "Errors",
                number::share(0.0021),
                badge(Verdict::Warning, "above 0.1%"),
            ),
            tile("Utilisation", number::share(0.63), Html::text("of 24 slots")),
            tile("Nodes", "3".to_owned(), Html::text("2 edge, 1 cloud")),
        ]),
        notice(
            Verdict::Warning,
            "The sampled in_flight of db (3.1) disagrees with rate times residence (4.8). Samples may be missing.",
        ),
        notice(
            Verdict::Bad,
            "calls.jsonl ends within a line: the last 312 bytes are not part of this report.",
        ),
        notice(
            Verdict::Neutral,
            "24 modules with less response time are shown as one.",
        ),
    ])
}

fn over_time() -> Html {
    let rates = data::rates();
    let in_flight = data::in_flight();
    let figures = [
        figure(
            "Calls per second",
            lines(&rates),
            &data::series_table("rates", &rates),
            "Each value is the mean of 5 s.",
        ),
        figure(
            "Requests in the system",
            lines(&in_flight),
            &data::series_table("flight", &in_flight),
            Html::new(),
        ),
        figure(
            "Response time, p99",
            lines(&data::many()),
            &data::series_table("many", &data::many()),
            Html::new(),
        ),
        figure(
            "Utilisation",
            lines(&data::empty()),
            &data::series_table("empty", &data::empty()),
            "No module reports its slots.",
        ),
    ];
    element("div").class("grid").children(figures).build()
}

fn latency() -> Html {
    let map = data::heat();
    let mut table = Table::new(
        "heat-table",
        "Response time by minute",
        vec![
            Column::text("minute", "Minute"),
            Column::number("p50", "p50"),
            Column::number("p99", "p99"),
        ],
    );
    for minute in 0..10 {
        let p50 = 2e6 + f64::from(minute) * 1e5;
        table.row(Row::new([
            format!("{minute}:00"),
            number::duration(p50),
            number::duration(p50 * 12.0),
        ]));
    }
    figure(
        "Response time of all modules",
        heat_map(&map),
        &table,
        "Drag over a window to recompute the figures below. Values are within 5%.",
    )
}

fn modules() -> Html {
    let chart = data::composition();
    let table = data::modules_table("modules-table");
    Html::from_iter([
        figure(
            "Where the time goes, mean per call",
            stacked(&chart),
            &table,
            Html::new(),
        ),
        data::modules_table("modules-table-open").html(),
    ])
}

fn calls() -> Html {
    let table = data::modules_table("graph-table");
    Html::from_iter([
        figure(
            "Call graph",
            graph(&graphs::shop()),
            &table,
            "Line width by rate; a dashed line closes a cycle; ✕ marks failed calls.",
        ),
        figure(
            "Forty modules",
            graph(&graphs::forty()),
            &data::modules_table("forty-table"),
            Html::new(),
        ),
    ])
}

fn traces() -> Html {
    element("div")
        .class("card")
        .child(waterfall(&data::trace()))
        .build()
}

fn hostile_data() -> Html {
    let table = hostile::table();
    let lines_chart = hostile::lines();
    Html::from_iter([
        notice(Verdict::Bad, hostile::TEXT),
        tiles(&[Tile {
            label: hostile::TEXT.to_owned(),
            value: hostile::TEXT.to_owned(),
            ..Tile::default()
        }]),
        figure(
            hostile::TEXT,
            lines(&lines_chart),
            &data::series_table("hostile-series", &lines_chart),
            hostile::TEXT,
        ),
        figure(
            "Hostile heat map",
            heat_map(&hostile::heat()),
            &table,
            Html::new(),
        ),
        figure(
            "Hostile bars",
            stacked(&hostile::bars()),
            &data::modules_table("hostile-bars-table"),
            Html::new(),
        ),
        figure(
            "Hostile graph",
            graph(&hostile::graph()),
            &data::modules_table("hostile-graph-table"),
            Html::new(),
        ),
        element("div")
            .class("card")
            .child(waterfall(&hostile::trace()))
            .build(),
    ])
}
