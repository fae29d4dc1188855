//! Properties of a layout that hold for every graph.

use proptest::prelude::*;

use super::*;

const SPACING: f64 = 17.0;

fn layout(nodes: usize, pairs: &[(usize, usize)], loops: &[bool]) -> Layout {
    let nodes: Vec<NodeSize> = (0..nodes)
        .map(|node| NodeSize {
            width: 120.0 + node as f64,
            has_loop: loops.get(node) == Some(&true),
        })
        .collect();
    let links: Vec<Link> = pairs
        .iter()
        .map(|(from, to)| Link {
            from: *from,
            to: *to,
            label_width: 80.0,
        })
        .collect();
    Layout::new(&nodes, &links, SPACING)
}

fn points(route: &Route) -> Vec<(f64, f64)> {
    let mut points = vec![route.start];
    points.extend(route.curves.iter().flatten());
    points.push(route.end);
    points
}

fn overlap(a: &Rect, b: &Rect) -> bool {
    a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height
}

fn graphs() -> impl Strategy<Value = (usize, Vec<(usize, usize)>, Vec<bool>)> {
    (1usize..40).prop_flat_map(|nodes| {
        let pairs = prop::collection::vec((0..nodes, 0..nodes), 0..80);
        let loops = prop::collection::vec(any::<bool>(), nodes);
        (Just(nodes), pairs, loops).prop_map(|(nodes, mut pairs, loops)| {
            pairs.retain(|(from, to)| from != to);
            pairs.sort_unstable();
            pairs.dedup();
            (nodes, pairs, loops)
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nodes_never_overlap_and_everything_is_inside((nodes, pairs, loops) in graphs()) {
        let layout = layout(nodes, &pairs, &loops);
        prop_assert!(layout.width.is_finite() && layout.height.is_finite());
        for (index, node) in layout.nodes.iter().enumerate() {
            prop_assert!(node.x >= 0.0 && node.y >= 0.0);
            prop_assert!(node.x + node.width <= layout.width && node.y + node.height <= layout.height);
            for other in &layout.nodes[index + 1..] {
                prop_assert!(!overlap(node, other), "{node:?} {other:?}");
            }
        }
        for (x, y) in layout.routes.iter().flat_map(points) {
            prop_assert!((0.0..=layout.width).contains(&x) && (0.0..=layout.height).contains(&y));
        }
    }

    #[test]
    fn routes_join_their_nodes_and_pass_beside_all_others((nodes, pairs, loops) in graphs()) {
        let layout = layout(nodes, &pairs, &loops);
        for ((from, to), route) in pairs.iter().zip(&layout.routes) {
            let touches = |node: &Rect, point: &(f64, f64)| {
                let on_side = point.0 == node.x || point.0 == node.x + node.width;
                on_side && (node.y..=node.y + node.height).contains(&point.1)
            };
            prop_assert!(touches(&layout.nodes[*from], &route.start), "{from} {route:?}");
            prop_assert!(touches(&layout.nodes[*to], &route.end), "{to} {route:?}");
            // The straight parts: from the start to the first curve, from each curve to the next, and from the last curve to
            // the end.
            for piece in points(route).chunks(2) {
                prop_assert_eq!(piece[0].1, piece[1].1);
                let (left, right) = (piece[0].0.min(piece[1].0), piece[0].0.max(piece[1].0));
                let crossed = layout.nodes.iter().find(|node| {
                    let beside = right <= node.x || node.x + node.width <= left;
                    !beside && node.y < piece[0].1 && piece[0].1 < node.y + node.height
                });
                prop_assert!(crossed.is_none(), "{piece:?} {crossed:?}");
            }
        }
    }

    #[test]
    fn labels_of_one_node_keep_their_distance((nodes, pairs, loops) in graphs()) {
        let layout = layout(nodes, &pairs, &loops);
        let mut ends: Vec<(f64, f64)> = layout.routes.iter().map(|route| route.end).collect();
        ends.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        for pair in ends.windows(2).filter(|pair| pair[0].0 == pair[1].0) {
            prop_assert!(pair[1].1 - pair[0].1 >= SPACING - 1e-6, "{pair:?}");
        }
    }
}

#[test]
fn the_same_graph_gives_the_same_layout() {
    let pairs = [(0, 1), (0, 2), (1, 3), (2, 3), (3, 0), (4, 0)];
    assert_eq!(layout(5, &pairs, &[]), layout(5, &pairs, &[]));
    let route = &layout(5, &pairs, &[]).routes[4];
    assert!(route.is_back && route.curves.len() == 2, "{route:?}");
}

#[test]
fn a_graph_without_nodes_is_empty() {
    let layout = layout(0, &[], &[]);
    assert_eq!((layout.nodes.len(), layout.routes.len()), (0, 0));
}
