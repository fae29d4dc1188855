//! Hostile data for the gallery: markup in texts, and numbers that no axis can show.

use page::charts::axes::{Mark, TimeAxis};
use page::charts::graph::Graph;
use page::charts::heat_map::HeatMap;
use page::charts::lines::Lines;
use page::charts::parts::Part;
use page::charts::stacked::{Bar, Stacked};
use page::charts::waterfall::{Step, Waterfall};
use page::html::Html;
use page::number::{self, Unit};
use page::table::{Column, Row, Table};

use crate::data::{chart, step};
use crate::graphs::shop;

pub const TEXT: &str = "</title></script><script>alert('x')</script><img src=x onerror=alert(1)>\"'&\u{202e}\u{0} שלום 漢字漢字 a-very-long-name-without-any-space-that-goes-on-and-on-and-on-and-on-and-on";

const ODD: [f64; 8] = [
    f64::NAN,
    f64::INFINITY,
    f64::NEG_INFINITY,
    -5.0,
    0.0,
    f64::MAX,
    f64::MIN_POSITIVE,
    1.0,
];

pub fn lines() -> Lines {
    let mut hostile = chart(
        "c-hostile",
        TEXT,
        Unit::Nanoseconds,
        vec![(TEXT, ODD.map(Some).to_vec()), (TEXT, Vec::new())],
    );
    hostile.time.buckets = ODD.len();
    hostile.events = vec![Mark {
        at_s: 12.0,
        text: TEXT.to_owned(),
    }];
    hostile
}

pub fn heat() -> HeatMap {
    HeatMap {
        id: "hostile-heat".to_owned(),
        title: TEXT.to_owned(),
        description: TEXT.to_owned(),
        time: TimeAxis {
            buckets: 3,
            bucket_s: f64::NAN,
        },
        unit: Unit::Bytes,
        bounds: vec![f64::NAN, 0.0, f64::INFINITY],
        counts: vec![vec![u64::MAX, 1], Vec::new(), vec![0, 3, 9]],
    }
}

pub fn bars() -> Stacked {
    Stacked {
        id: "hostile-bars".to_owned(),
        title: TEXT.to_owned(),
        unit: Unit::Nanoseconds,
        bars: vec![
            Bar {
                label: TEXT.to_owned(),
                parts: ODD.map(|value| (Part::Other, value)).to_vec(),
            },
            Bar {
                label: String::new(),
                parts: Vec::new(),
            },
        ],
    }
}

pub fn graph() -> Graph {
    let mut graph = shop();
    graph.id = "hostile-graph".to_owned();
    graph.nodes.truncate(4);
    for node in &mut graph.nodes {
        node.name = TEXT.to_owned();
        node.detail = TEXT.to_owned();
        node.tip = TEXT.to_owned();
    }
    for (edge, value) in graph.edges.iter_mut().zip(ODD) {
        edge.rate = value;
        edge.errors = value;
        edge.label = TEXT.to_owned();
    }
    graph
}

pub fn trace() -> Waterfall {
    let mut rows: Vec<Step> = ODD
        .iter()
        .map(|value| step(usize::MAX, TEXT, *value, &[(Part::Queue, *value)], true))
        .collect();
    rows.push(step(0, "", 0.0, &[], false));
    Waterfall {
        id: "hostile-trace".to_owned(),
        title: TEXT.to_owned(),
        length_ns: f64::NAN,
        rows,
        more: None,
    }
}

pub fn table() -> Table {
    let mut table = Table::new(
        "hostile-table",
        TEXT,
        vec![
            Column::text("name", TEXT).tip(TEXT).unit(TEXT),
            Column::number("value", "Value"),
        ],
    );
    table.row(Row::new([Html::text(TEXT), Html::text(&number::count(f64::NAN))]).key(TEXT));
    table.more = Some(TEXT.to_owned());
    table
}
