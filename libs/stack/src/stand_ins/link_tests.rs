//! The links of stand-ins between nodes that `links.json` of the recording does not connect.

use std::path::PathBuf;

use super::pairs::Called;
use super::tests::{chain, edge, links, recording};
use super::{Placed, Placement};
use crate::tiers::network::ConfiguredLink;

/// Calling node, called node, delay and rate.
type Edge = (String, String, u64, Option<u64>);

fn network(placed: &Placed, called: &Called<'_>) -> (Vec<Edge>, Vec<String>) {
    let (network, notes) = placed.network("driver0", PathBuf::new(), called).unwrap();
    let parts = |link: ConfiguredLink| (link.u, link.v, link.delay_ms, link.rate_bps);
    (network.links.into_iter().map(parts).collect(), notes)
}

#[test]
fn recorded_calls_have_a_link_where_the_inventory_has_none() {
    let (a, b, c) = (("svc", "a"), ("svc", "b"), ("svc", "c"));
    let called = Called::from([[a, b], [a, c]]);
    let placed = Placed::new(&chain(), &Placement::default()).unwrap();
    let (found, notes) = network(&placed, &called);
    assert_eq!(
        found,
        [
            edge("edge0", "cloud0", 20, Some(52_279_006)),
            edge("ep0", "cloud0", 0, None),
            edge("ep0", "edge0", 5, Some(52_279_006)),
        ]
    );
    let expected = "delay and rate of ep0->cloud0 are unknown: no delay and no limit; set them in \"links\" of a placement";
    assert_eq!(notes, [expected]);
}

#[test]
fn recorded_calls_have_a_link_where_an_event_moves_them() {
    let text =
        r#"{"events": [{"at_s": 1, "module": "svc@cloud0", "node": "edge1"}], "nodes": {"edge1": {}}}"#;
    let placed = Placed::new(&chain(), &Placement::parse(text.as_bytes()).unwrap()).unwrap();
    let (found, _) = network(&placed, &Called::from([[("svc", "a"), ("svc", "c")]]));
    let ways: Vec<(&str, &str)> = found.iter().map(|(u, v, ..)| (u.as_str(), v.as_str())).collect();
    assert_eq!(
        ways,
        [
            ("edge0", "cloud0"),
            ("edge0", "edge1"),
            ("ep0", "cloud0"),
            ("ep0", "edge0"),
            ("ep0", "edge1")
        ]
    );
}

#[test]
fn only_a_delay_for_whose_rest_nobody_waits_is_rounded_up() {
    let mut recording = recording();
    for (u, delay_s) in [("driver0", 0.0047), ("ep0", 0.029)] {
        let v = if u == "ep0" { "edge0" } else { "ep0" };
        let link = super::tests::link(delay_s, 9e9);
        recording.links.insert((u.to_owned(), v.to_owned()), link);
    }
    let placed = Placed::new(&recording, &Placement::default()).unwrap();
    let (found, notes) = network(&placed, &Called::new());
    assert_eq!(
        found,
        [edge("ep0", "edge0", 29, None), edge("driver0", "ep0", 5, None)]
    );
    assert_eq!(notes, [] as [&str; 0], "29 ms are whole milliseconds");
}

#[test]
fn a_chain_of_one_module_has_links_only_where_calls_were_recorded() {
    let recording = chain();
    let placed = Placed::new(&recording, &Placement::default()).unwrap();
    assert_eq!(
        links(&placed, "driver0"),
        [
            edge("edge0", "cloud0", 20, Some(52_279_006)),
            edge("ep0", "edge0", 5, Some(52_279_006)),
        ]
    );
}

#[test]
fn modules_that_call_each_other_in_a_circle_are_all_placed() {
    let mut recording = recording();
    let cart = recording.modules.get_mut("cart").unwrap();
    cart.calls.extend(["front".to_owned(), "cart".to_owned()]);
    let placed = Placed::new(&recording, &Placement::default()).unwrap();
    assert_eq!(placed.stand_ins.len(), 4);
    // The recording has no call from edge0 to ep0.
    assert_eq!(
        links(&placed, "driver0"),
        [edge("ep0", "edge0", 4, Some(49_142_265))]
    );
}
