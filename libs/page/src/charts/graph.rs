//! [`graph`]: a call graph: an edge leads from a caller to a callee, in layers from left to right.

use super::axes::{VALUE_MAX, coordinate};
use super::layout::{LOOP_HEIGHT, Layout, Link, NodeSize, Rect, Route};
use crate::html::{Element, Html, element};
use crate::number::share;

/// Maximum number of nodes that are drawn. Callers of [`graph`] must join nodes of larger graphs.
pub const NODES_MAX: usize = 60;
/// Maximum number of edges that are drawn. The chart states how many further ones there are. An edge takes about 400 bytes with
/// its tip.
pub const EDGES_MAX: usize = 120;
/// Maximum number of characters in a line of a node and in the label of an edge. The tip has the whole text.
const NODE_CHARS: usize = 26;
const LABEL_CHARS: usize = 24;
/// Estimated width of a character, pixels: of names (13 px, bold), and of details and labels (11 px). Most characters are
/// narrower.
const NAME_CHAR: f64 = 8.0;
const SMALL_CHAR: f64 = 6.2;
const NODE_WIDTH_MIN: f64 = 92.0;
/// Space left and right of a node's text, pixels.
const PADDING: f64 = 12.0;
/// Distance between edges that end at the same node, pixels: with labels of one line, and of two.
const SPACING: [f64; 2] = [17.0, 32.0];
/// Length of an arrow's head, pixels.
const HEAD: f64 = 8.0;

#[derive(Debug, Clone)]
pub struct Graph {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    pub description: String,
    pub nodes: Vec<Node>,
    /// If several edges have the same ends, only the first one is drawn.
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Module,
    /// A caller or peer without telemetry.
    External,
    /// Several modules or peers that are drawn as one node.
    Group,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    /// The second line of the text.
    pub detail: String,
    /// Shown on hover and focus.
    pub tip: String,
    pub kind: NodeKind,
}

#[derive(Debug, Clone)]
pub struct Edge {
    /// Index of a node. An edge of an unknown node is not drawn.
    pub from: usize,
    pub to: usize,
    /// Calls per second. They determine the thickness of the line.
    pub rate: f64,
    /// Share of failed calls, 0 to 1. If it is above zero, the edge is marked, and the label shows the share.
    pub errors: f64,
    /// Text above the line, near the target. The text after a line break is below the line.
    pub label: String,
    /// Shown on hover and focus.
    pub tip: String,
}

pub fn graph(chart: &Graph) -> Html {
    let nodes = &chart.nodes[..chart.nodes.len().min(NODES_MAX)];
    let (loops, edges) = drawn_edges(&chart.edges, nodes.len());
    let left_out = (
        chart.nodes.len() - nodes.len(),
        chart.edges.len() - loops.len() - edges.len(),
    );
    let sizes: Vec<NodeSize> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| NodeSize {
            width: node_width(node),
            has_loop: loops.iter().any(|edge| edge.from == index),
        })
        .collect();
    let links: Vec<Link> = edges
        .iter()
        .map(|edge| Link {
            from: edge.from,
            to: edge.to,
            label_width: Label::new(edge).width(),
        })
        .collect();
    let has_two_lines = edges.iter().any(|edge| edge.label.contains('\n'));
    let layout = Layout::new(&sizes, &links, SPACING[usize::from(has_two_lines)]);
    let highest = edges.iter().chain(&loops).map(|edge| finite(edge.rate));
    let highest = highest.fold(0.0, f64::max);
    let lines = edges.iter().zip(&layout.routes);
    let lines = lines.map(|(edge, route)| edge_group(edge, route, highest));
    let loops = loops
        .iter()
        .map(|edge| loop_group(edge, &layout.nodes[edge.from], highest));
    let boxes = nodes.iter().zip(&layout.nodes).enumerate();
    let boxes = boxes.map(|(index, (node, rect))| node_group(index, node, rect));
    let description_id = format!("{}-desc", chart.id);
    let svg = element("svg")
        .attr("id", &chart.id)
        .attr("role", "group")
        .attr("aria-label", &chart.title)
        .attr("aria-describedby", &description_id)
        .attr("width", pixel(layout.width.ceil()))
        .attr("height", pixel(layout.height.ceil()))
        .attr(
            "viewBox",
            format!(
                "0 0 {} {}",
                pixel(layout.width.ceil()),
                pixel(layout.height.ceil())
            ),
        )
        .attr("data-marks", "")
        .child(
            element("desc")
                .attr("id", description_id)
                .child(&chart.description),
        )
        .children(lines)
        .children(loops)
        .children(boxes);
    let class = match layout.width {
        width if width > 1600.0 => "graph widest",
        width if width > 1350.0 => "graph wider",
        width if width > 1000.0 => "graph wide",
        _ => "graph",
    };
    Html::from_iter([element("div").class(class).child(svg).build(), note(left_out)])
}

/// A note that states how many nodes and edges are not drawn.
fn note(left_out: (usize, usize)) -> Html {
    match left_out {
        (0, 0) => Html::new(),
        (nodes, edges) => element("p")
            .class("note")
            .child(format!("Not drawn: {nodes} nodes and {edges} edges."))
            .build(),
    }
}

/// Splits edges into those from a node to itself and all others, and removes duplicates.
fn drawn_edges(edges: &[Edge], nodes: usize) -> (Vec<&Edge>, Vec<&Edge>) {
    let mut seen = std::collections::BTreeSet::new();
    edges
        .iter()
        .filter(|edge| edge.from < nodes && edge.to < nodes && seen.insert((edge.from, edge.to)))
        .take(EDGES_MAX)
        .partition(|edge| edge.from == edge.to)
}

/// A coordinate in whole pixels, which is short and exact enough for boxes and curves.
fn pixel(value: f64) -> String {
    coordinate(value.round())
}

fn finite(value: f64) -> f64 {
    match value.is_finite() {
        true => value.clamp(0.0, VALUE_MAX),
        false => 0.0,
    }
}

/// Width of a text in columns: characters that are as wide as Latin ones count once, all others twice.
fn columns(text: &str) -> usize {
    text.chars().map(|c| if c < '\u{300}' { 1 } else { 2 }).sum()
}

/// The text, shortened to `max` columns.
fn fitted(text: &str, max: usize) -> String {
    if columns(text) <= max {
        return text.to_owned();
    }
    let mut short = String::new();
    let mut used = 1;
    for character in text.chars() {
        used += columns(character.encode_utf8(&mut [0; 4]));
        if used > max {
            break;
        }
        short.push(character);
    }
    short + "…"
}

fn node_width(node: &Node) -> f64 {
    let width = |text: &str, char_width: f64| columns(&fitted(text, NODE_CHARS)) as f64 * char_width;
    let text = width(&node.name, NAME_CHAR).max(width(&node.detail, SMALL_CHAR));
    (text + 2.0 * PADDING).max(NODE_WIDTH_MIN)
}

/// The text beside an edge.
struct Label {
    above: String,
    errors: Option<String>,
    below: Option<String>,
}

impl Label {
    fn new(edge: &Edge) -> Self {
        let (above, below) = match edge.label.split_once('\n') {
            Some((above, below)) => (above, Some(fitted(below, LABEL_CHARS))),
            None => (edge.label.as_str(), None),
        };
        let errors = finite(edge.errors).min(1.0);
        Self {
            above: fitted(above, LABEL_CHARS),
            errors: (errors > 0.0).then(|| format!("✕ {}", share(errors))),
            below,
        }
    }

    fn width(&self) -> f64 {
        let errors = self.errors.as_ref().map_or(0, |errors| columns(errors) + 2);
        let below = self.below.as_ref().map_or(0, |below| columns(below));
        (columns(&self.above) + errors).max(below) as f64 * SMALL_CHAR + HEAD + 6.0
    }

    /// The texts above and below the end of an edge. The style sheet aligns them by the edge's class.
    fn html(&self, x: f64, y: f64) -> Html {
        let text = |y: f64| element("text").attr("x", pixel(x)).attr("y", pixel(y));
        let errors = self.errors.as_ref().map(|errors| {
            let errors = element("tspan").class("errors").child(errors);
            if self.above.is_empty() {
                errors
            } else {
                errors.attr("dx", "5")
            }
        });
        let above = text(y - 5.0).child(&self.above).child(errors);
        let below = self.below.as_ref().map(|below| text(y + 13.0).child(below));
        Html::from_iter([above.build(), below.into()])
    }
}

/// Grows with the square root of the rate, so that an edge with a hundredth of the highest rate can still be seen.
fn thickness(edge: &Edge, highest: f64) -> f64 {
    match highest > 0.0 {
        true => 1.2 + 3.3 * (finite(edge.rate) / highest).sqrt(),
        false => 1.2,
    }
}

fn edge_group(edge: &Edge, route: &Route, highest: f64) -> Html {
    // Forward edges arrive from the left, and edges that close cycles from the right.
    let side = if route.is_back { 1.0 } else { -1.0 };
    let mut path = format!("M{} {}", pixel(route.start.0), pixel(route.start.1));
    let mut pen_x = route.start.0;
    for [from, to] in &route.curves {
        let bend = (to.0 - from.0) / 2.0;
        let points = [from.0 + bend, from.1, to.0 - bend, to.1, to.0, to.1].map(pixel);
        if pixel(from.0) != pixel(pen_x) {
            path.push_str(&format!("H{}", pixel(from.0)));
        }
        path.push_str(&format!("C{}", points.join(" ")));
        pen_x = to.0;
    }
    let end = route.end;
    path.push_str(&format!("H{}", pixel(end.0 + side * HEAD)));
    let head = format!(
        "M{} {}l{}-4.5v9z",
        pixel(end.0),
        pixel(end.1),
        pixel(side * (HEAD + 1.0))
    );
    group(edge, if route.is_back { " back" } else { "" })
        .child(
            element("path")
                .attr("d", path)
                .attr("stroke-width", coordinate(thickness(edge, highest))),
        )
        .child(element("path").class("head").attr("d", head))
        .child(Label::new(edge).html(end.0 + side * (HEAD + 4.0), end.1))
        .build()
}

fn group(edge: &Edge, kind: &str) -> Element {
    let failed = if finite(edge.errors) > 0.0 { " failed" } else { "" };
    element("g")
        .class(&format!("edge{kind}{failed}"))
        .attr("data-ends", format!("{} {}", edge.from, edge.to))
        .attr(
            "data-tip",
            if edge.tip.is_empty() {
                &edge.label
            } else {
                &edge.tip
            },
        )
}

/// An edge from a node to itself, above the node's right corner.
fn loop_group(edge: &Edge, rect: &Rect, highest: f64) -> Html {
    let (right, top) = (rect.x + rect.width, rect.y);
    let (from, to) = (right - 34.0, right - 12.0);
    let height = top - LOOP_HEIGHT + 8.0;
    let points = [from, top, from, height, to, height, to, top - HEAD].map(pixel);
    let [x0, y0, x1, y1, x2, y2, x3, y3] = points;
    // The texts above and below the edge become one line, because the edge does not run between them.
    let mut label = Label::new(edge);
    if let Some(below) = label.below.take() {
        label.above = format!("{} {below}", label.above);
    }
    group(edge, " loop")
        .child(
            element("path")
                .attr("d", format!("M{x0} {y0}C{x1} {y1} {x2} {y2} {x3} {y3}"))
                .attr("stroke-width", coordinate(thickness(edge, highest))),
        )
        .child(
            element("path")
                .class("head")
                .attr("d", format!("M{} {}l-4.5-9h9z", pixel(to), pixel(top))),
        )
        .child(label.html(from - 6.0, top - 4.0))
        .build()
}

fn node_group(index: usize, node: &Node, rect: &Rect) -> Html {
    let class = match node.kind {
        NodeKind::Module => "node",
        NodeKind::External => "node external",
        NodeKind::Group => "node group",
    };
    let tip = if node.tip.is_empty() {
        &node.name
    } else {
        &node.tip
    };
    let middle = rect.y + rect.height / 2.0;
    let lines = if node.detail.is_empty() {
        (4.5, None)
    } else {
        (-3.0, Some(&node.detail))
    };
    let text = |class: &str, text: &str, y: f64| {
        element("text")
            .class(class)
            .attr("x", pixel(rect.x + PADDING))
            .attr("y", pixel(middle + y))
            .child(fitted(text, NODE_CHARS))
    };
    let shape = |inset: f64| {
        element("rect")
            .attr("x", pixel(rect.x + inset))
            .attr("y", pixel(rect.y + inset))
            .attr("width", pixel(rect.width))
            .attr("height", pixel(rect.height))
            .attr("rx", "7")
    };
    // A second sheet behind the box shows that the node represents several modules.
    let sheet = (node.kind == NodeKind::Group).then(|| shape(4.0).class("sheet"));
    element("g")
        .class(class)
        .attr("role", "img")
        .attr("aria-label", tip)
        .attr("data-tip", tip)
        .attr("data-node", index)
        .attr("tabindex", if index == 0 { "0" } else { "-1" })
        .child(sheet)
        .child(shape(0.0))
        .child(text("name", &node.name, lines.0))
        .child(lines.1.map(|detail| text("detail", detail, 13.0)))
        .build()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str) -> Node {
        Node {
            name: name.to_owned(),
            detail: "12/s".to_owned(),
            tip: String::new(),
            kind: NodeKind::Module,
        }
    }

    fn edge(from: usize, to: usize, rate: f64, errors: f64) -> Edge {
        Edge {
            from,
            to,
            rate,
            errors,
            label: format!("{from} to {to}"),
            tip: String::new(),
        }
    }

    fn drawn(edges: Vec<Edge>) -> String {
        let chart = Graph {
            id: "g".to_owned(),
            title: "Calls".to_owned(),
            description: String::new(),
            nodes: vec![node("a"), node("<b>"), node("c")],
            edges,
        };
        graph(&chart).into_string()
    }

    #[test]
    fn edges_of_unknown_nodes_and_duplicates_are_not_drawn() {
        let html = drawn(vec![
            edge(0, 1, 1.0, 0.0),
            edge(0, 1, 9.0, 0.0),
            edge(0, 7, 1.0, 0.0),
            edge(2, 2, 1.0, 0.0),
        ]);
        assert_eq!(html.matches("data-ends").count(), 2, "{html}");
        assert!(html.contains("Not drawn: 0 nodes and 2 edges."), "{html}");
        assert!(
            html.contains("data-ends=\"2 2\"") && html.contains("&lt;b&gt;"),
            "{html}"
        );
    }

    #[test]
    fn failed_calls_are_marked_by_a_sign_and_their_share() {
        let html = drawn(vec![
            edge(0, 1, 100.0, 0.012),
            edge(1, 2, 1.0, 0.0),
            edge(2, 0, f64::NAN, f64::NAN),
        ]);
        assert!(
            html.contains("class=\"edge failed\"") && html.contains("✕ 1.20%"),
            "{html}"
        );
        assert!(html.contains("class=\"edge back\" data-ends=\"2 0\""), "{html}");
        assert!(
            html.contains("stroke-width=\"4.5\"") && html.contains("stroke-width=\"1.5\""),
            "{html}"
        );
        assert!(!html.contains("NaN"), "{html}");
    }

    #[test]
    fn long_texts_are_shortened_by_their_width() {
        assert_eq!(fitted("abcdef", 6), "abcdef");
        assert_eq!(fitted("abcdefg", 6), "abcde…");
        assert_eq!(fitted("漢字漢字", 6), "漢字…");
    }
}
