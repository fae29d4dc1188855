//! [`graph`]: who calls whom, in layers from left to right.

use crate::html::{Html, element};

/// Nodes that are drawn at most; the caller collapses larger graphs.
pub const NODES_MAX: usize = 60;
/// Edges that are drawn at most.
pub const EDGES_MAX: usize = 200;

#[derive(Debug, Clone)]
pub struct Graph {
    /// Unique in the page; the prefix of all ids in the chart.
    pub id: String,
    pub title: String,
    pub description: String,
    pub nodes: Vec<Node>,
    pub edges: Vec<Edge>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeKind {
    Module,
    /// A caller or peer without telemetry.
    External,
    /// Several modules that are shown as one.
    Group,
}

#[derive(Debug, Clone)]
pub struct Node {
    pub name: String,
    /// The second line.
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
    /// Calls per second: the line's thickness.
    pub rate: f64,
    /// Share of failed calls, 0 to 1: above zero, the edge is marked.
    pub errors: f64,
    /// Beside the line.
    pub label: String,
    /// Shown on hover and focus.
    pub tip: String,
}

pub fn graph(chart: &Graph) -> Html {
    element("svg")
        .attr("role", "img")
        .child(element("title").child(&chart.title))
        .build()
}
