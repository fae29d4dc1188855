//! [`place`]: the vertical position of each item, as near to the item's neighbours in other layers as the order in its own
//! layer allows.

use super::item::{Item, Segment};

/// Number of passes over all layers, forward and backward in turn.
const PASSES: usize = 16;
/// Space between nodes, and beside lanes, in pixels.
const NODE_GAP: f64 = 20.0;
const LANE_GAP: f64 = 8.0;

/// The vertical centres of all items. Items of a layer keep their order and a minimum distance.
pub(super) fn place(items: &[Item], segments: &[Segment], layers: &[Vec<usize>]) -> Vec<f64> {
    let mut before = vec![Vec::new(); items.len()];
    let mut behind = vec![Vec::new(); items.len()];
    for segment in segments {
        before[segment.right].push(segment.left);
        behind[segment.left].push(segment.right);
    }
    let mut centers = vec![0.0; items.len()];
    for layer in layers {
        settle(items, layer, &mut centers, |_, _| 0.0);
    }
    for pass in 0..PASSES {
        let is_last = pass + 2 >= PASSES;
        let towards = |item: usize, centers: &[f64]| {
            let sides = match (is_last, pass % 2) {
                (true, _) => [before[item].as_slice(), behind[item].as_slice()],
                (false, 0) => [before[item].as_slice(), &[]],
                (false, _) => [&[], behind[item].as_slice()],
            };
            let near = || sides.iter().flat_map(|side| side.iter());
            match near().count() {
                0 => centers[item],
                count => near().map(|other| centers[*other]).sum::<f64>() / count as f64,
            }
        };
        let mut walk: Vec<&Vec<usize>> = layers.iter().collect();
        if pass % 2 == 1 {
            walk.reverse();
        }
        for layer in walk {
            settle(items, layer, &mut centers, towards);
        }
    }
    centers
}

/// Moves the items of a layer to the `wanted` positions. If two items would be too close, the least squares solution is used.
fn settle(items: &[Item], layer: &[usize], centers: &mut [f64], wanted: impl Fn(usize, &[f64]) -> f64) {
    let mut offsets = Vec::with_capacity(layer.len());
    let mut offset = 0.0;
    for (index, item) in layer.iter().enumerate() {
        if index > 0 {
            offset += distance(&items[layer[index - 1]], &items[*item]);
        }
        offsets.push(offset);
    }
    let free: Vec<f64> = layer
        .iter()
        .zip(&offsets)
        .map(|(item, offset)| wanted(*item, centers) - offset)
        .collect();
    for ((item, offset), value) in layer.iter().zip(&offsets).zip(ascending(&free)) {
        centers[*item] = value + offset;
    }
}

/// Minimum distance between the centres of two items, one above the other.
fn distance(above: &Item, below: &Item) -> f64 {
    let gap = match above.is_lane || below.is_lane {
        true => LANE_GAP,
        false => NODE_GAP,
    };
    (above.height + below.height) / 2.0 + gap
}

/// The ascending values nearest to the given ones (isotonic regression): neighbours in the wrong order are replaced by their
/// mean.
fn ascending(values: &[f64]) -> Vec<f64> {
    let mut blocks: Vec<(f64, usize)> = Vec::new();
    for value in values {
        let mut block = (*value, 1);
        while let Some((mean, count)) = blocks.pop_if(|(mean, _)| *mean > block.0) {
            let both = count + block.1;
            block = (
                (mean * count as f64 + block.0 * block.1 as f64) / both as f64,
                both,
            );
        }
        blocks.push(block);
    }
    blocks
        .into_iter()
        .flat_map(|(mean, count)| std::iter::repeat_n(mean, count))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_in_the_wrong_order_share_their_mean() {
        assert_eq!(ascending(&[1.0, 3.0, 2.0, 4.0]), [1.0, 2.5, 2.5, 4.0]);
        assert_eq!(ascending(&[3.0, 2.0, 1.0]), [2.0, 2.0, 2.0]);
        assert_eq!(ascending(&[]), [0.0; 0]);
    }
}
