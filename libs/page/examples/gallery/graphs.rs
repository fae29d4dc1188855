//! Call graphs for the gallery.

use page::charts::graph::{Edge, Graph, Node, NodeKind};
use page::number;

use crate::data::noise;

fn node(name: &str, kind: NodeKind) -> Node {
    Node {
        name: name.to_owned(),
        detail: match kind {
            NodeKind::Module => format!("{} · 63% busy", number::rate(1000.0 * noise(name.len()))),
            NodeKind::External => "no telemetry".to_owned(),
            NodeKind::Group => "as one node".to_owned(),
        },
        tip: format!("{name}\np99 12.3 ms\n1,234 errors"),
        kind,
    }
}

fn edge(from: usize, to: usize, rate: f64, errors: f64) -> Edge {
    Edge {
        from,
        to,
        rate,
        errors,
        label: format!(
            "{}\np95 {}",
            number::rate(rate),
            number::duration(1e6 + rate * 7000.0)
        ),
        tip: format!(
            "{} calls\np99 {}",
            number::exact((rate * 600.0) as u64),
            number::duration(rate * 9000.0)
        ),
    }
}

pub fn shop() -> Graph {
    let names = [
        "load driver",
        "gateway",
        "orders",
        "users",
        "cart",
        "payments",
        "stock",
        "db",
        "mail.example.com",
        "24 other modules",
    ];
    let kinds = |index: usize| match index {
        0 | 8 => NodeKind::External,
        9 => NodeKind::Group,
        _ => NodeKind::Module,
    };
    Graph {
        id: "shop".to_owned(),
        title: "Call graph of the shop".to_owned(),
        description: "Ten nodes and fifteen edges.".to_owned(),
        nodes: names
            .iter()
            .enumerate()
            .map(|(index, name)| node(name, kinds(index)))
            .collect(),
        edges: vec![
            edge(0, 1, 1600.0, 0.0021),
            edge(1, 2, 900.0, 0.0),
            edge(1, 3, 600.0, 0.0),
            edge(1, 4, 420.0, 0.0),
            edge(1, 9, 120.0, 0.0),
            edge(2, 5, 320.0, 0.0123),
            edge(2, 6, 880.0, 0.0),
            edge(2, 7, 900.0, 0.0),
            edge(3, 7, 600.0, 0.0),
            edge(4, 6, 210.0, 0.0),
            edge(5, 8, 12.0, 0.0),
            edge(5, 2, 40.0, 0.0),
            edge(6, 7, 1090.0, 0.0),
            edge(4, 4, 9.0, 0.0),
            edge(9, 7, 60.0, 0.0),
        ],
    }
}

pub fn forty() -> Graph {
    let nodes = (0..40).map(|index| node(&format!("service-{index:02}"), NodeKind::Module));
    let mut edges = Vec::new();
    for to in 1..40usize {
        let from = (noise(to) * to as f64 * 0.6) as usize;
        edges.push(edge(
            from,
            to,
            1.0 + 400.0 * noise(to + 50),
            if to % 9 == 0 { 0.01 } else { 0.0 },
        ));
        if to % 3 == 0 {
            edges.push(edge(
                (noise(to + 7) * to as f64) as usize,
                to,
                30.0 * noise(to + 90),
                0.0,
            ));
        }
    }
    edges.push(edge(30, 2, 5.0, 0.0));
    Graph {
        id: "forty".to_owned(),
        title: "Call graph of forty modules".to_owned(),
        description: "A random graph.".to_owned(),
        nodes: nodes.collect(),
        edges,
    }
}
