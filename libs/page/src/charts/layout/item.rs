//! [`Item`] and [`Segment`]: the things in a layer, and the lines between two layers.

/// A node, or the lane of an edge in a layer that it passes.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub layer: usize,
    pub height: f64,
    pub is_lane: bool,
}

/// The part of an edge between two neighbouring layers, from left to right.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub left: usize,
    pub right: usize,
}
