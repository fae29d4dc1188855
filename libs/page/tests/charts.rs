//! Charts of any numbers: nothing panics, and every coordinate is finite and within its chart.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use page::charts::axes::{Mark, TimeAxis};
use page::charts::graph::{Edge, Graph, Node, NodeKind, graph};
use page::charts::heat_map::{HeatMap, heat_map};
use page::charts::lines::{Line, Lines, lines};
use page::charts::parts::Part;
use page::charts::sparkline::sparkline;
use page::charts::stacked::{Bar, Stacked, stacked};
use page::charts::waterfall::{Step, Waterfall, waterfall};
use page::number::Unit;
use proptest::prelude::*;

/// Any number. Unusual numbers, such as infinity, are frequent.
fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        3 => 0.0..1e9,
        2 => any::<f64>(),
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN_POSITIVE, -0.0, 1e-300]),
    ]
}

fn values() -> impl Strategy<Value = Vec<Option<f64>>> {
    prop::collection::vec(prop::option::weighted(0.9, number()), 0..30)
}

fn unit() -> impl Strategy<Value = Unit> {
    prop::sample::select(vec![
        Unit::Nanoseconds,
        Unit::PerSecond,
        Unit::Bytes,
        Unit::BytesPerSecond,
        Unit::Share,
        Unit::Percent,
        Unit::Count,
    ])
}

/// The values of an attribute.
fn attributes<'a>(html: &'a str, name: &str) -> Vec<&'a str> {
    let start = format!(" {name}=\"");
    let values = html.split(start.as_str()).skip(1);
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// Checks that percentages are between 0 and 100, and that no bar ends outside its axis.
fn assert_percentages(html: &str) {
    for name in ["x", "x1", "x2", "width"] {
        for value in attributes(html, name) {
            if let Some(value) = value.strip_suffix('%') {
                let value: f64 = value.parse().unwrap();
                assert!((0.0..=100.0).contains(&value), "{name}={value}");
            }
        }
    }
    let rects = html
        .split("<rect ")
        .skip(1)
        .map(|rest| rest.split('>').next().unwrap());
    for rect in rects.filter(|rect| rect.contains('%')) {
        let rect = format!(" {rect}");
        let share = |name| -> f64 { attributes(&rect, name)[0].trim_end_matches('%').parse().unwrap() };
        assert!(share("x") + share("width") <= 100.02, "{rect}");
    }
}

/// Checks that all numbers in paths with absolute coordinates are between 0 and `max`.
fn assert_paths(html: &str, max: f64) {
    for path in attributes(html, "d") {
        let numbers = path.split(|c: char| c.is_ascii_alphabetic() || c == ' ');
        for number in numbers.filter(|number| !number.is_empty()) {
            let number: f64 = number.parse().unwrap();
            assert!((0.0..=max).contains(&number), "{path}");
        }
    }
}

fn step(start_ns: f64, duration_ns: f64, depth: usize) -> Step {
    Step {
        depth,
        label: String::new(),
        detail: String::new(),
        tip: String::new(),
        start_ns,
        duration_ns,
        parts: vec![(Part::Queue, duration_ns), (Part::Cpu, start_ns)],
        is_critical: true,
        failed: true,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn lines_stay_inside_their_plot(
        series in prop::collection::vec(values(), 0..4),
        buckets in 0usize..40,
        bucket_s in number(),
        at_s in number(),
        unit in unit(),
    ) {
        let chart = Lines {
            id: "c".to_owned(),
            title: String::new(),
            description: String::new(),
            time: TimeAxis { buckets, bucket_s },
            unit,
            series: series.into_iter().map(|values| Line { name: String::new(), values }).collect(),
            events: vec![Mark { at_s, text: String::new() }],
        };
        let html = lines(&chart).into_string();
        assert_percentages(&html);
        let plot = html.split("id=\"c-plot\"").nth(1).unwrap().split("</svg>").next().unwrap();
        assert_paths(plot, 1000.0);
    }

    #[test]
    fn a_heat_map_has_a_cell_for_each_count_above_zero(
        counts in prop::collection::vec(prop::collection::vec(prop_oneof![Just(0u64), any::<u64>(), 0u64..9], 0..12), 0..12),
        bounds in prop::collection::vec(number(), 0..12),
        unit in unit(),
    ) {
        let rows = bounds.len().saturating_sub(1).max(1);
        let drawn = counts.iter().map(|rows_of| rows_of.iter().take(rows).filter(|count| **count > 0).count());
        let drawn: usize = drawn.sum();
        let buckets = counts.len();
        let chart = HeatMap {
            id: "h".to_owned(),
            title: String::new(),
            description: String::new(),
            time: TimeAxis { buckets, bucket_s: 1.0 },
            unit,
            bounds,
            counts,
        };
        let html = heat_map(&chart).into_string();
        assert_percentages(&html);
        let plot = html.split("id=\"h-plot\"").nth(1).unwrap();
        let lengths = attributes(plot, "d").into_iter().flat_map(|path| path.split('h').skip(1));
        let cells: usize = lengths.map(|rest| rest.split('m').next().unwrap().parse::<usize>().unwrap()).sum();
        prop_assert_eq!(cells, drawn);
    }

    #[test]
    fn bars_and_steps_stay_inside_their_axis(numbers in prop::collection::vec(number(), 3..8), length_ns in number(), depth in any::<usize>()) {
        let parts: Vec<(Part, f64)> = Part::ALL.into_iter().zip(numbers.iter().copied()).collect();
        let bars = vec![Bar { label: String::new(), parts: parts.clone() }, Bar { label: String::new(), parts: parts[1..].to_vec() }];
        let bars = Stacked { id: "s".to_owned(), title: String::new(), unit: Unit::Nanoseconds, bars };
        assert_percentages(stacked(&bars).as_str());
        let rows = numbers.windows(2).map(|pair| step(pair[0], pair[1], depth)).collect();
        let trace = Waterfall { id: "w".to_owned(), title: String::new(), length_ns, rows, more: None };
        assert_percentages(waterfall(&trace).as_str());
    }

    #[test]
    fn a_sparkline_stays_inside_its_box(values in values()) {
        assert_paths(sparkline("x", &values).as_str(), 120.0);
    }

    #[test]
    fn a_graph_is_drawn_whatever_its_numbers_are(
        nodes in 0usize..70,
        edges in prop::collection::vec((0usize..70, 0usize..70, number(), number()), 0..60),
    ) {
        let node = |index: usize| Node {
            name: format!("n{index}"),
            detail: String::new(),
            tip: String::new(),
            kind: NodeKind::Module,
        };
        let edges = edges.into_iter().map(|(from, to, rate, errors)| Edge {
            from,
            to,
            rate,
            errors,
            label: "a\nb".to_owned(),
            tip: String::new(),
        });
        let chart = Graph {
            id: "g".to_owned(),
            title: String::new(),
            description: String::new(),
            nodes: (0..nodes).map(node).collect(),
            edges: edges.collect(),
        };
        let html = graph(&chart).into_string();
        prop_assert!(!html.contains("NaN") && !html.contains("inf"));
        let width: f64 = attributes(&html, "width")[0].parse().unwrap();
        for x in attributes(&html, "x") {
            let x: f64 = x.parse().unwrap();
            prop_assert!((0.0..=width).contains(&x), "{x} of {width}");
        }
    }
}
