//! [`order`]: sorts the items of each layer from top to bottom so that few lines cross.

use super::item::{Item, Segment};

/// Number of sweeps over all layers, forward and backward in turn. After six, the result rarely improves.
const SWEEPS: usize = 12;

/// The items of each layer in order. Each item moves to the mean position of its neighbours in the layer before or behind it.
pub(super) fn order(items: &[Item], segments: &[Segment], layers: usize) -> Vec<Vec<usize>> {
    let mut current = vec![Vec::new(); layers];
    for (index, item) in items.iter().enumerate() {
        current[item.layer].push(index);
    }
    let mut before = vec![Vec::new(); items.len()];
    let mut behind = vec![Vec::new(); items.len()];
    for segment in segments {
        before[segment.right].push(segment.left);
        behind[segment.left].push(segment.right);
    }
    let mut best = current.clone();
    let mut fewest = crossings(&current, &behind, items.len());
    for sweep in 0..SWEEPS {
        if fewest == 0 {
            break;
        }
        if sweep % 2 == 0 {
            for layer in 1..layers {
                sort_layer(&mut current, layer, &before, items.len());
            }
        } else {
            for layer in (0..layers.saturating_sub(1)).rev() {
                sort_layer(&mut current, layer, &behind, items.len());
            }
        }
        let now = crossings(&current, &behind, items.len());
        if now < fewest {
            fewest = now;
            best.clone_from(&current);
        }
    }
    best
}

fn sort_layer(layers: &mut [Vec<usize>], layer: usize, neighbours: &[Vec<usize>], items: usize) {
    let places = places(layers, items);
    let mean = |item: usize| match neighbours[item].as_slice() {
        [] => places[item],
        near => near.iter().map(|other| places[*other]).sum::<f64>() / near.len() as f64,
    };
    layers[layer].sort_by(|a, b| mean(*a).total_cmp(&mean(*b)));
}

/// The position of each item in its layer as a number from 0 to 1, so that positions in layers of different sizes can be
/// compared.
fn places(layers: &[Vec<usize>], items: usize) -> Vec<f64> {
    let mut places = vec![0.0; items];
    for layer in layers {
        for (index, item) in layer.iter().enumerate() {
            places[*item] = (index as f64 + 0.5) / layer.len() as f64;
        }
    }
    places
}

/// Number of pairs of lines between two neighbouring layers that cross.
fn crossings(layers: &[Vec<usize>], behind: &[Vec<usize>], items: usize) -> usize {
    let places = places(layers, items);
    let mut crossings = 0;
    for layer in layers {
        // The lines' ends, sorted by the lines' starts. Two lines cross if their ends are in the wrong order.
        let mut ends: Vec<(usize, f64)> = Vec::new();
        for (index, item) in layer.iter().enumerate() {
            ends.extend(behind[*item].iter().map(|other| (index, places[*other])));
        }
        for (index, (start, end)) in ends.iter().enumerate() {
            crossings += ends[index + 1..]
                .iter()
                .filter(|(other_start, other_end)| other_start > start && other_end < end)
                .count();
        }
    }
    crossings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crossings_that_can_be_avoided_are_avoided() {
        let item = |layer| Item {
            layer,
            height: 1.0,
            is_lane: false,
        };
        let items = [item(0), item(0), item(1), item(1), item(2), item(2)];
        let segment = |left, right| Segment { left, right };
        let segments = [segment(0, 3), segment(1, 2), segment(2, 4), segment(3, 5)];
        let layers = order(&items, &segments, 3);
        let mut behind = vec![Vec::new(); 6];
        for segment in segments {
            behind[segment.left].push(segment.right);
        }
        assert_eq!(crossings(&[vec![0, 1], vec![2, 3], vec![4, 5]], &behind, 6), 1);
        assert_eq!(crossings(&layers, &behind, 6), 0, "{layers:?}");
    }
}
