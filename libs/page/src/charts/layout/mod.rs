//! [`Layout`]: a directed graph in layers from left to right: nodes, and routes of edges around them. The same graph gives the same layout.
//!
//! The steps are Sugiyama's: cut cycles and assign layers ([`rank`]), reduce crossings ([`order`]), and align ([`place`]). An edge over
//! several layers passes through one empty lane in each, so no line crosses a node.

mod item;
mod order;
mod place;
mod rank;

use item::{Item, Segment};

/// Space around the drawing, pixels.
const MARGIN: f64 = 12.0;
/// Space for curves between layers, in addition to labels, pixels.
const CURVE: f64 = 46.0;
/// Minimum and maximum distance between lines without labels that end at the same node, pixels.
const PORT_MIN: f64 = 3.0;
const PORT_MAX: f64 = 10.0;
/// Minimum height of a node, pixels.
const NODE_HEIGHT: f64 = 46.0;
/// Space above a node for an edge from the node to itself.
pub(super) const LOOP_HEIGHT: f64 = 26.0;
/// Height of a lane, through which an edge passes a layer, pixels.
const LANE_HEIGHT: f64 = 14.0;

/// The size of a node to lay out.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeSize {
    pub width: f64,
    pub has_loop: bool,
}

/// An edge between two different nodes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Link {
    pub from: usize,
    pub to: usize,
    /// Width of the label near the target.
    pub label_width: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rect {
    pub x: f64,
    pub y: f64,
    pub width: f64,
    pub height: f64,
}

/// The line of an edge from its source to its target. It is straight between its curves, so labels are at straight lines.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Route {
    pub start: (f64, f64),
    /// For each two neighbouring layers, the first and the last point of the curve between them.
    pub curves: Vec<[(f64, f64); 2]>,
    pub end: (f64, f64),
    /// Whether the edge leads to an earlier layer, because it closes a cycle.
    pub is_back: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Layout {
    pub width: f64,
    pub height: f64,
    pub nodes: Vec<Rect>,
    pub routes: Vec<Route>,
}

/// The horizontal position of a layer.
#[derive(Debug, Clone, Copy)]
struct Column {
    x: f64,
    width: f64,
    /// Width of the widest label of edges that arrive from the left, and from the right.
    before: f64,
    behind: f64,
}

/// A graph divided into layers. Its items are the nodes, then the lanes.
struct Layered {
    items: Vec<Item>,
    segments: Vec<Segment>,
    /// For each link, its items from left to right.
    chains: Vec<Vec<usize>>,
    is_back: Vec<bool>,
    layers: usize,
    /// Distance between lines with labels that end at the same node.
    spacing: f64,
}

impl Layout {
    /// Lays out a graph. Lines with labels that end at the same node end `spacing` apart. `links` must not contain links of
    /// unknown nodes or links from a node to itself.
    pub fn new(nodes: &[NodeSize], links: &[Link], spacing: f64) -> Self {
        let layered = Layered::new(nodes, links, spacing);
        let layers = order::order(&layered.items, &layered.segments, layered.layers);
        let centers = place::place(&layered.items, &layered.segments, &layers);
        layered.draw(nodes, links, &centers)
    }
}

impl Layered {
    fn new(nodes: &[NodeSize], links: &[Link], spacing: f64) -> Self {
        let pairs: Vec<(usize, usize)> = links.iter().map(|link| (link.from, link.to)).collect();
        let ranks = rank::rank(nodes.len(), &pairs);
        let mut items: Vec<Item> = ranks
            .layer
            .iter()
            .map(|layer| Item {
                layer: *layer,
                height: NODE_HEIGHT,
                is_lane: false,
            })
            .collect();
        let mut segments = Vec::new();
        let mut chains = Vec::new();
        for ((from, to), is_back) in pairs.iter().zip(&ranks.is_back) {
            let (left, right) = if *is_back { (*to, *from) } else { (*from, *to) };
            let mut chain = vec![left];
            for layer in ranks.layer[left] + 1..ranks.layer[right] {
                chain.push(items.len());
                items.push(Item {
                    layer,
                    height: LANE_HEIGHT,
                    is_lane: true,
                });
            }
            chain.push(right);
            segments.extend(chain.windows(2).map(|pair| Segment {
                left: pair[0],
                right: pair[1],
            }));
            chains.push(chain);
        }
        let layers = ranks.layer.iter().max().map_or(0, |last| last + 1);
        let mut layered = Self {
            items,
            segments,
            chains,
            is_back: ranks.is_back,
            layers,
            spacing,
        };
        layered.set_heights(nodes);
        layered
    }

    /// Makes nodes high enough for all lines that end at them.
    fn set_heights(&mut self, nodes: &[NodeSize]) {
        for (node, size) in nodes.iter().enumerate() {
            let sides = [Side::Left, Side::Right].map(|side| {
                let ends = self.ends(node, side);
                let spacing = if self.has_labels(&ends, side) {
                    self.spacing
                } else {
                    PORT_MIN
                };
                ends.len() as f64 * spacing + 8.0
            });
            let above = if size.has_loop { LOOP_HEIGHT } else { 0.0 };
            self.items[node].height = sides[0].max(sides[1]).max(NODE_HEIGHT) + above;
        }
    }

    /// The links that start or end at one side of a node.
    fn ends(&self, node: usize, side: Side) -> Vec<usize> {
        let is_end = |chain: &Vec<usize>| match side {
            Side::Left => chain.last() == Some(&node),
            Side::Right => chain.first() == Some(&node),
        };
        (0..self.chains.len())
            .filter(|link| is_end(&self.chains[*link]))
            .collect()
    }

    /// Whether links have labels at this side. Labels are near the targets: on the left, and on the right for edges that lead
    /// back.
    fn has_labels(&self, links: &[usize], side: Side) -> bool {
        links
            .iter()
            .any(|link| self.is_back[*link] == (side == Side::Right))
    }

    fn draw(&self, nodes: &[NodeSize], links: &[Link], centers: &[f64]) -> Layout {
        let columns = self.columns(nodes, links);
        let top = self.tops(centers).fold(f64::INFINITY, f64::min);
        let shift = if top.is_finite() { MARGIN - top } else { 0.0 };
        let centers: Vec<f64> = centers.iter().map(|center| center + shift).collect();
        let rects: Vec<Rect> = nodes
            .iter()
            .zip(&self.items)
            .zip(&centers)
            .map(|((size, item), center)| {
                let above = if size.has_loop { LOOP_HEIGHT } else { 0.0 };
                let Column { x, width, .. } = columns[item.layer];
                Rect {
                    x,
                    y: center - item.height / 2.0 + above,
                    width,
                    height: item.height - above,
                }
            })
            .collect();
        let ports = self.ports(&rects, &centers);
        let routes = (0..links.len()).map(|link| self.route(link, &columns, &centers, ports[link]));
        let bottoms = self.items.iter().zip(&centers);
        let bottom = bottoms
            .map(|(item, center)| center + item.height / 2.0)
            .fold(0.0, f64::max);
        let right = columns
            .last()
            .map_or(0.0, |last| last.x + last.width + last.behind);
        Layout {
            width: right + MARGIN,
            height: bottom + MARGIN,
            routes: routes.collect(),
            nodes: rects,
        }
    }

    fn tops(&self, centers: &[f64]) -> impl Iterator<Item = f64> {
        let tops = self.items.iter().zip(centers);
        tops.map(|(item, center)| center - item.height / 2.0)
    }

    fn columns(&self, nodes: &[NodeSize], links: &[Link]) -> Vec<Column> {
        let mut columns: Vec<Column> = Vec::with_capacity(self.layers);
        for layer in 0..self.layers {
            let here = nodes
                .iter()
                .zip(&self.items)
                .filter(|(_, item)| item.layer == layer);
            let width = here.map(|(size, _)| size.width).fold(0.0, f64::max);
            let widest_label = |side: Side| {
                let ending = (0..links.len()).filter(|link| {
                    let chain = &self.chains[*link];
                    let (end, arrives_here) = match side {
                        Side::Left => (chain.last(), !self.is_back[*link]),
                        Side::Right => (chain.first(), self.is_back[*link]),
                    };
                    arrives_here && end.is_some_and(|item| self.items[*item].layer == layer)
                });
                ending.map(|link| links[link].label_width).fold(0.0, f64::max)
            };
            let before = widest_label(Side::Left);
            let x = match columns.last() {
                Some(last) => last.x + last.width + last.behind + CURVE + before,
                None => MARGIN + before,
            };
            columns.push(Column {
                x,
                width,
                before,
                behind: widest_label(Side::Right),
            });
        }
        columns
    }

    /// The vertical positions of the two ends of each link, left and right.
    fn ports(&self, rects: &[Rect], centers: &[f64]) -> Vec<(f64, f64)> {
        let mut ports = vec![(0.0, 0.0); self.chains.len()];
        for (node, rect) in rects.iter().enumerate() {
            for side in [Side::Left, Side::Right] {
                let mut ends = self.ends(node, side);
                // Of each line, only the segment from this node to the next layer matters here. Sorted by the far ends of their
                // segments, the lines do not cross beside the node.
                let other = |link: &usize| {
                    let chain = &self.chains[*link];
                    match side {
                        Side::Left => centers[chain[chain.len() - 2]],
                        Side::Right => centers[chain[1]],
                    }
                };
                ends.sort_by(|a, b| other(a).total_cmp(&other(b)).then(a.cmp(b)));
                let spacing = match self.has_labels(&ends, side) {
                    true => self.spacing,
                    false => (rect.height / (ends.len() + 1) as f64).clamp(PORT_MIN, PORT_MAX),
                };
                let middle = rect.y + rect.height / 2.0;
                for (index, link) in ends.iter().enumerate() {
                    let y = middle + (index as f64 - (ends.len() - 1) as f64 / 2.0) * spacing;
                    match side {
                        Side::Left => ports[*link].1 = y,
                        Side::Right => ports[*link].0 = y,
                    }
                }
            }
        }
        ports
    }

    fn route(&self, link: usize, columns: &[Column], centers: &[f64], ends: (f64, f64)) -> Route {
        let chain = &self.chains[link];
        let column = |index: usize| columns[self.items[chain[index]].layer];
        let last = chain.len() - 1;
        let height = |index: usize| match index {
            0 => ends.0,
            index if index == last => ends.1,
            index => centers[chain[index]],
        };
        let mut curves: Vec<[(f64, f64); 2]> = (0..last)
            .map(|index| {
                let (left, right) = (column(index), column(index + 1));
                let from = (left.x + left.width + left.behind, height(index));
                [from, (right.x - right.before, height(index + 1))]
            })
            .collect();
        let left = (column(0).x + column(0).width, ends.0);
        let right = (column(last).x, ends.1);
        let is_back = self.is_back[link];
        if is_back {
            curves.reverse();
            curves.iter_mut().for_each(|curve| curve.reverse());
        }
        let (start, end) = if is_back { (right, left) } else { (left, right) };
        Route {
            start,
            curves,
            end,
            is_back,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Left,
    Right,
}

#[cfg(test)]
mod tests;
