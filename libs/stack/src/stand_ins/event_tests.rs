//! Events of a placement: which slots the stand-ins on a new node have, and which events are refused.

use plan::work::Station;

use super::tests::{chain, recording};
use super::{Placed, Placement};

/// The stand-ins of the chain's last group after these events, each with its slots.
fn slots(placement: &str) -> Result<Vec<(String, Option<u32>)>, String> {
    let placement = Placement::parse(placement.as_bytes())?;
    let mut recording = chain();
    let module = recording.modules.get_mut("svc").unwrap();
    module.instances[2].station = Station {
        slots: Some(4),
        is_released: true,
        queue_limit: Some(9),
    };
    let placed = Placed::new(&recording, &placement).map_err(|error| error.to_string())?;
    let of_group = placed
        .stand_ins
        .iter()
        .filter(|one| one.instance.starts_with('c'));
    let found = of_group.map(|one| {
        assert!(one.station.is_released && one.station.queue_limit == Some(9));
        (one.instance.clone(), one.station.slots)
    });
    Ok(found.collect())
}

#[test]
fn stand_ins_on_a_new_node_have_the_slots_of_the_event() {
    let found = |events: &str| {
        let start = r#""modules": {"svc@cloud0": {"slots": 2}}"#;
        slots(&format!(r#"{{{start}, "events": [{events}]}}"#)).unwrap()
    };
    let moved = r#"{"at_s": 1, "module": "svc@cloud0", "node": "edge0""#;
    let scaled = r#"{"at_s": 2, "module": "svc@cloud0", "replicas": 2}"#;
    let back = r#"{"at_s": 3, "module": "svc@cloud0", "node": "cloud0"}"#;
    for (event, expected) in [
        ("", Some(2)),
        (r#", "slots": 3"#, Some(3)),
        (r#", "slots": "recorded""#, Some(4)),
        (r#", "slots": "unlimited""#, None),
    ] {
        let found = found(&format!("{moved}{event}}}, {scaled}, {back}"));
        let found: Vec<(&str, Option<u32>)> = found.iter().map(|(id, slots)| (id.as_str(), *slots)).collect();
        assert_eq!(
            found,
            [
                ("c", Some(2)),
                ("c@edge0", expected),
                ("c+1@edge0", expected),
                ("c+1", Some(2)),
            ]
        );
    }
}

#[test]
fn events_that_stand_ins_cannot_execute_are_refused_in_one_sentence() {
    for (placement, sentence) in [
        (
            r#"{"events": [{"at_s": 1, "module": "svc@cloud0", "node": "cloud0", "slots": 3}]}"#,
            r#"an event gives stand-in "c" of module "svc" 3 slots, but it starts with 4; slots only differ between nodes"#,
        ),
        (
            r#"{"events": [{"at_s": 1, "module": "svc@cloud0", "replicas": 2, "slots": 3}]}"#,
            "events[0] must be an event with a node, because it has slots",
        ),
        (
            r#"{"events": [{"at_s": 1, "module": "svc@cloud0", "node": "ep0", "slots": 0}]}"#,
            r#"events[0].slots must be a whole number from 1 to 1024, "unlimited" or "recorded", not 0"#,
        ),
        (
            r#"{"events": [{"at_s": 1e9, "module": "svc@cloud0", "node": "ep0"}]}"#,
            "events[0].at_s must be a number of seconds from 0 to 31622400, not",
        ),
    ] {
        let refused = slots(placement).unwrap_err();
        assert!(refused.contains(sentence), "{refused}");
    }
}

#[test]
fn a_module_with_listed_instances_has_no_events() {
    let of = |module: &str| {
        let text = format!(
            r#"{{"modules": {{"cart": {{"instances": ["cart-1"]}}}}, "events": [{{"at_s": 1, "module": "{module}", "node": "ep0"}}]}}"#
        );
        Placed::new(&recording(), &Placement::parse(text.as_bytes()).unwrap())
    };
    let refused = of("cart").unwrap_err().to_string();
    assert!(
        refused.starts_with(
            r#"invalid placement: module "cart" has "instances" and an event; remove one of them"#
        ),
        "{refused}"
    );
    assert!(of("stock").is_ok());
}
