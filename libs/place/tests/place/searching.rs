//! Which assignments are simulated: all, or those of a local search; rules and limits of nodes.

use std::fmt::Write as _;

use place::assignments::Choices;
use place::search::ASSIGNMENTS_MAX;

use crate::arithmetic::{ranked, tiers};
use crate::run::{Shop, site};

#[test]
fn rules_and_limits_of_nodes_leave_the_allowed_assignments() {
    let site = site(&Shop::idle(3)).unwrap();
    let assignments = |rest: &str| {
        let text = format!(
            r#"{{"nodes": {{"a": {{"cores": 1{rest}}}, "edge0": {{}}, "ep0": {{}}}}, "modules": {{"front": {{"not_on": ["edge0"]}}}}}}"#
        );
        let all = tiers(&site, &text);
        Choices::new(&site, &all).all().collect::<Vec<_>>()
    };
    // back on a, edge0, ep0; front on a, ep0.
    let free = assignments("");
    assert_eq!(free.len(), 6);
    assert!(free.iter().all(|assignment| assignment[1] != 1));
    let limited = assignments(r#", "modules_max": 1"#);
    assert_eq!(limited.len(), 5);
    assert!(!limited.contains(&vec![0, 0]));
    assert_eq!(assignments(r#", "modules_max": 0"#).len(), 2);
}

#[test]
fn a_local_search_finds_the_best_of_many_assignments() {
    let site = site(&Shop::idle(20)).unwrap();
    let mut nodes = String::new();
    for number in 0..64 {
        let _ = write!(
            nodes,
            r#""n{number:02}": {{"cores": 8, "mips_per_core": {}}}, "#,
            1_000 + number % 40
        );
    }
    let all = tiers(
        &site,
        &format!(r#"{{"nodes": {{{nodes} "ep0": {{}}, "edge0": {{}}}}}}"#),
    );
    let (choices, ranking) = ranked(&site, &all, 1.0);
    assert!(choices.count() > ASSIGNMENTS_MAX as u128);
    assert!(!ranking.searched.is_complete && ranking.searched.screened.len() <= ASSIGNMENTS_MAX);
    // Links between the new nodes are unknown, so both modules are together, on the only node with the greatest speed.
    let best = choices.nodes.iter().position(|node| node == "n39").unwrap() as u32;
    assert_eq!(ranking.ranked[0].case.candidate.assignment, [best, best]);
}
