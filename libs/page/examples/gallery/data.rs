//! Synthetic data for the gallery.

use page::charts::axes::{Mark, TimeAxis};
use page::charts::heat_map::HeatMap;
use page::charts::lines::{Line, Lines};
use page::charts::parts::Part;
use page::charts::stacked::{Bar, Stacked};
use page::charts::waterfall::{Step, Waterfall};
use page::number::{self, Unit};
use page::table::{Column, Row, Table};

/// A reproducible value from 0 to 1.
pub fn noise(seed: usize) -> f64 {
    let mixed = (seed as u64 ^ 0x9e37_79b9).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed >> 40) as f64 / (1u64 << 24) as f64
}

pub fn wave(count: usize, mean: f64, swing: f64) -> Vec<Option<f64>> {
    (0..count)
        .map(|index| {
            let value = mean + swing * (index as f64 / 9.0).sin() + mean * 0.15 * (noise(index) - 0.5);
            (!(40..43).contains(&(index % 70))).then_some(value)
        })
        .collect()
}

const TIME: TimeAxis = TimeAxis {
    buckets: 120,
    bucket_s: 5.0,
};

pub fn chart(id: &str, title: &str, unit: Unit, series: Vec<(&str, Vec<Option<f64>>)>) -> Lines {
    Lines {
        id: id.to_owned(),
        title: title.to_owned(),
        description: format!("{title}: {} series over 10 minutes.", series.len()),
        time: TIME,
        unit,
        series: series
            .into_iter()
            .map(|(name, values)| Line {
                name: name.to_owned(),
                values,
            })
            .collect(),
        events: Vec::new(),
    }
}

pub fn rates() -> Lines {
    let mut chart = chart(
        "c-rates",
        "Calls per second",
        Unit::PerSecond,
        vec![
            ("gateway", wave(120, 1600.0, 420.0)),
            ("orders", wave(120, 900.0, 300.0)),
            ("payments", wave(120, 320.0, 120.0)),
        ],
    );
    let mark = |at_s: f64, text: &str| Mark {
        at_s,
        text: text.to_owned(),
    };
    chart.events = vec![
        mark(120.0, "orders scaled from 2 to 4 replicas"),
        mark(121.0, "orders/3 started on edge-2"),
        mark(410.0, "payments moved from edge-1 to cloud-1"),
    ];
    chart
}

pub fn in_flight() -> Lines {
    chart(
        "c-flight",
        "Requests in the system",
        Unit::Count,
        vec![("in_flight", wave(120, 31.0, 9.0))],
    )
}

pub fn many() -> Lines {
    let names = [
        "gateway", "orders", "payments", "users", "cart", "stock", "mail", "search", "ninth",
    ];
    let series = names.iter().enumerate();
    chart(
        "c-many",
        "Response time, p99",
        Unit::Nanoseconds,
        series
            .map(|(index, name)| (*name, wave(120, 4e6 * (index + 1) as f64, 1.2e6)))
            .collect(),
    )
}

pub fn empty() -> Lines {
    chart("c-empty", "Utilisation", Unit::Share, Vec::new())
}

pub fn series_table(id: &str, chart: &Lines) -> Table {
    let columns = vec![
        Column::text("series", "Series"),
        Column::number("mean", "Mean"),
        Column::number("max", "Maximum"),
        Column::number("gaps", "Gaps"),
    ];
    let mut table = Table::new(&format!("{id}-table"), &chart.title, columns);
    for line in &chart.series {
        let known: Vec<f64> = line.values.iter().flatten().copied().collect();
        let mean = known.iter().sum::<f64>() / known.len() as f64;
        let max = known.iter().copied().fold(f64::NAN, f64::max);
        let gaps = (line.values.len() - known.len()).to_string();
        table.row(Row::new([
            line.name.clone(),
            chart.unit.format(mean),
            chart.unit.format(max),
            gaps,
        ]));
    }
    table
}

pub fn heat() -> HeatMap {
    let rows = 36;
    let counts = (0..120).map(|bucket| {
        let middle = 12.0 + 6.0 * (bucket as f64 / 18.0).sin();
        (0..rows)
            .map(|row| {
                let distance = (row as f64 - middle) / 3.2;
                let tail = if row as f64 > middle {
                    9.0 * (-(row as f64 - middle) / 6.0).exp()
                } else {
                    0.0
                };
                let value = 900.0 * (-distance * distance / 2.0).exp() + tail;
                (value * (0.5 + noise(bucket * 64 + row))) as u64
            })
            .collect()
    });
    HeatMap {
        id: "heat".to_owned(),
        title: "Response time of all modules over time".to_owned(),
        description: "Most calls take 1 to 10 ms.".to_owned(),
        time: TIME,
        unit: Unit::Nanoseconds,
        bounds: (0..=rows).map(|row| 2e5 * 1.22f64.powi(row as i32)).collect(),
        counts: counts.collect(),
    }
}

const MODULES: [(&str, [f64; 5]); 6] = [
    ("gateway", [0.4, 0.6, 0.9, 1.1, 9.2]),
    ("orders", [2.1, 1.4, 1.9, 0.7, 3.1]),
    ("payments", [0.2, 4.8, 0.6, 0.5, 0.0]),
    ("users", [0.05, 0.4, 0.8, 0.3, 0.9]),
    ("recommendation-service-canary-eu-west", [0.9, 0.7, 2.2, 0.4, 0.0]),
    ("db", [1.7, 0.9, 0.3, 0.2, 0.0]),
];

pub fn composition() -> Stacked {
    let bars = MODULES
        .iter()
        .map(|(label, [queue, service, cpu, network, callee])| Bar {
            label: (*label).to_owned(),
            parts: vec![
                (Part::Queue, queue * 1e6),
                (Part::Cpu, cpu * 1e6),
                (Part::Service, service * 1e6),
                (Part::Callee, callee * 1e6),
                (Part::Network, network * 1e6),
            ],
        });
    Stacked {
        id: "composition".to_owned(),
        title: "Composition of the response time".to_owned(),
        unit: Unit::Nanoseconds,
        bars: bars.collect(),
    }
}

pub fn modules_table(id: &str) -> Table {
    let columns = vec![
        Column::text("module", "Module"),
        Column::number("calls", "Calls"),
        Column::number("rate", "Rate").unit("1/s"),
        Column::number("cv", "cv").tip("Coefficient of variation of the times between arrivals"),
        Column::number("p50", "p50").unit("ms"),
        Column::number("p95", "p95").unit("ms"),
        Column::number("p99", "p99").unit("ms"),
        Column::number("utilisation", "Utilisation").unit("%"),
        Column::number("errors", "Errors").unit("%"),
    ];
    let mut table = Table::new(id, "Modules", columns);
    for (index, (name, parts)) in MODULES.iter().enumerate() {
        let sum: f64 = parts.iter().sum();
        let cells = [
            (*name).to_owned(),
            number::exact(1_200_000 / (index as u64 + 1)),
            format!("{:.1}", 1600.0 / (index + 1) as f64),
            format!("{:.2}", 1.0 + noise(index)),
            format!("{sum:.2}"),
            format!("{:.2}", sum * 2.3),
            format!("{:.1}", sum * 4.1),
            format!("{:.0}", 20.0 + 60.0 * noise(index + 9)),
            format!("{:.2}", noise(index + 20)),
        ];
        table.row(Row::new(cells).key(name));
    }
    table.more = Some("24 more rows are in modules.json".to_owned());
    table
}

pub fn step(depth: usize, label: &str, start_ms: f64, parts_ms: &[(Part, f64)], is_critical: bool) -> Step {
    let duration: f64 = parts_ms.iter().map(|(_, value)| value).sum();
    Step {
        depth,
        label: label.to_owned(),
        detail: if depth == 0 {
            "edge-1 · 200".to_owned()
        } else {
            "edge-2".to_owned()
        },
        tip: format!("{label}\nqueue and service as shown"),
        start_ns: start_ms * 1e6,
        duration_ns: duration * 1e6,
        parts: parts_ms
            .iter()
            .map(|(part, value)| (*part, value * 1e6))
            .collect(),
        is_critical,
        failed: false,
    }
}

pub fn trace() -> Waterfall {
    use Part::{Callee, Cpu, Network, Queue, Service};
    let mut failed = step(
        3,
        "payments POST /charge",
        25.0,
        &[(Queue, 0.2), (Service, 6.1)],
        false,
    );
    failed.failed = true;
    Waterfall {
        id: "trace".to_owned(),
        title: "Slowest trace: 48.3 ms".to_owned(),
        length_ns: 48.3e6,
        rows: vec![
            step(
                0,
                "gateway GET /checkout",
                0.0,
                &[(Queue, 1.2), (Cpu, 2.0), (Callee, 44.0), (Service, 1.1)],
                true,
            ),
            step(
                1,
                "call orders",
                3.2,
                &[(Network, 1.5), (Callee, 38.5), (Network, 1.5)],
                true,
            ),
            step(
                2,
                "orders POST /order",
                4.7,
                &[(Queue, 9.5), (Cpu, 4.0), (Callee, 25.0)],
                true,
            ),
            step(3, "db SELECT", 18.0, &[(Queue, 2.0), (Service, 3.9)], false),
            failed,
            step(
                3,
                "stock PUT /reserve",
                27.0,
                &[(Queue, 0.5), (Cpu, 1.5), (Callee, 11.0)],
                true,
            ),
            step(
                4,
                "db UPDATE a-table-with-quite-a-long-name-in-it",
                29.5,
                &[(Queue, 6.5), (Service, 4.0)],
                true,
            ),
            step(1, "users GET /me", 3.1, &[(Queue, 0.01), (Cpu, 0.02)], false),
        ],
        more: Some("112 more rows are in invocations.jsonl".to_owned()),
    }
}
