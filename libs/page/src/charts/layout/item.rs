//! [`Item`] and [`Segment`]: the things in a layer, and the lines between two layers.

/// A node, or a lane: the free space in a layer through which an edge passes on its way to a layer behind it.
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
