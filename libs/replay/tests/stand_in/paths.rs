//! Tests of [`Stations`], which finds paths of calls on which a request would wait for a slot that it has itself.

use replay::stand_in::by_root::ByRoot;
use replay::stand_in::paths::{Repeat, Stations, repeats_a_module};
use serde_json::json;
use standin::StandIns;

use crate::made::{chain, of, probe_of, stand_ins};
use crate::rows::{MS, Rows, child_of, with};

fn worst(roots: &ByRoot, stand_ins: &StandIns, slots: Option<u32>, policy: &str) -> Option<Repeat> {
    let probes: Vec<_> = stand_ins
        .instances()
        .iter()
        .map(|instance| probe_of(instance, slots, policy, None))
        .collect();
    Stations::new(roots, stand_ins, &probes).worst(roots, &roots.tree(0))
}

const THREE: [(&str, &str); 3] = [("front", "front-1"), ("cart", "cart-1"), ("pay", "pay-1")];

#[test]
fn a_cycle_with_too_few_slots_is_found_with_its_path() {
    let roots = chain(&["front", "cart", "pay", "cart", "cart"]);
    assert!(repeats_a_module(&roots, &roots.tree(0)));
    let found = worst(&roots, &stand_ins(&THREE), Some(2), "held").unwrap();
    let expected = Repeat {
        module: "cart".into(),
        slots: 2,
        times: 3,
        path: "front -> cart -> pay -> cart -> cart".into(),
    };
    assert_eq!(found, expected);
    assert!(found.is_impossible());
    let found = worst(&roots, &stand_ins(&THREE), Some(3), "held").unwrap();
    assert!(!found.is_impossible(), "three slots suffice for one request");
}

#[test]
fn released_or_unlimited_slots_and_paths_without_a_repetition_are_fine() {
    let roots = chain(&["front", "cart", "front"]);
    assert_eq!(worst(&roots, &stand_ins(&THREE), Some(1), "released"), None);
    assert_eq!(worst(&roots, &stand_ins(&THREE), None, "held"), None);
    let roots = chain(&["front", "cart", "pay"]);
    assert!(!repeats_a_module(&roots, &roots.tree(0)));
    assert_eq!(worst(&roots, &stand_ins(&THREE), Some(1), "held"), None);
}

#[test]
fn instances_that_share_stand_ins_count_as_one() {
    let roots = chain(&["front", "cart", "front"]);
    // The recorded instance front-1 has no stand-in. So the other two get its requests in turn.
    let turns = stand_ins(&[("front", "x"), ("front", "y"), ("cart", "cart-1")]);
    let found = worst(&roots, &turns, Some(1), "held").unwrap();
    assert_eq!((found.module.as_str(), found.times), ("front", 2));
    assert!(found.is_impossible());
}

#[test]
fn a_caller_that_does_not_wait_holds_no_slot() {
    let mut rows = Rows::default();
    rows.invocation(1, [0, 0, 30 * MS], of("front"));
    let consumer = with(of("front"), json!({"kind": "consumer"}));
    rows.invocation(2, [40 * MS, 40 * MS, 45 * MS], with(child_of(1, 9), consumer));
    let send = json!({"kind": "producer", "peer": "topic"});
    rows.call(9, 1, [10 * MS, 12 * MS], send);
    let roots = ByRoot::new(rows.plan());
    assert_eq!(roots.tree(0).invocations.len(), 2);
    assert_eq!(worst(&roots, &stand_ins(&THREE), Some(1), "held"), None);
}
