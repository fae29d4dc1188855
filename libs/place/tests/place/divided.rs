//! A module with instances on several nodes: each of its groups is placed by itself.

use std::collections::BTreeMap;

use cctf_stack::stand_ins::Placed;
use place::assignments::Choices;
use place::evaluation::Metric;
use place::predictor::Predictor;
use place::site::Site;
use place::strategy::{parse, summary};
use place::whatif::{Change, what_if};
use serde_json::Value;

use crate::arithmetic::{ranked, tiers};
use crate::run::{Shop, site};
use crate::theory::options;

const TIERS: &str = r#"{
  "nodes": {"ep0": {"cores": 8}, "edge0": {"cores": 8}},
  "modules": {"svc@ep0": {"on": ["ep0"]}, "svc": {"not_on": []}}
}"#;

/// One module with an instance on ep0, which calls another one on edge0.
fn chain() -> Site {
    site(&Shop {
        module: Some("svc"),
        ..Shop::idle(50)
    })
    .unwrap()
}

#[test]
fn each_group_of_a_module_is_placed_by_itself() {
    let site = chain();
    let names: Vec<&str> = site.groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["svc@edge0", "svc@ep0"]);
    let (choices, ranking) = ranked(&site, &tiers(&site, TIERS), 1.0);
    assert_eq!((choices.count(), ranking.predicted), (2, 2));
    let [first, second] = &ranking.ranked[..] else {
        panic!("{:?}", ranking.ranked.len());
    };
    // Both on one node need no network.
    assert!(second.is_recorded);
    let moved = first.case.placement.modules.iter();
    let moved: Vec<(&str, Option<&str>)> = moved
        .map(|(name, place)| (name.as_str(), place.node.as_deref()))
        .collect();
    assert_eq!(moved, [("svc@edge0", Some("ep0"))]);
    let difference = second.predicted.evaluation.times[0] - first.predicted.evaluation.times[0];
    assert!((difference - 10.0).abs() < 1e-3, "{difference}");
    let placed = Placed::new(&site.recording, &first.case.placement).unwrap();
    let nodes = ["front-1", "back-1"].map(|id| placed.node_of("svc", id));
    assert_eq!(nodes, [Some("ep0"), Some("ep0")]);
}

#[test]
fn a_group_is_named_with_its_node_and_all_with_their_module() {
    let site = chain();
    let recorded = place::tiers::Tiers::recorded(&site.recording, &site.groups);
    let ask = |moves: &[(&str, &str)]| {
        let change = Change {
            moves: moves
                .iter()
                .map(|(name, node)| ((*name).to_owned(), (*node).to_owned()))
                .collect(),
            slots: BTreeMap::from([("svc".to_owned(), 7)]),
            scale: 1.0,
        };
        let answer = what_if(&site, (&recorded, &recorded), &change, &options(), &|_, _, _| {
            true
        })
        .unwrap();
        let slots = answer.after.stations.iter().map(|station| station.slots);
        assert!(slots.eq([Some(7), Some(7)]));
        answer.after
    };
    let both = ask(&[("svc", "edge0")]);
    let nodes: Vec<&str> = both.modules.values().map(String::as_str).collect();
    assert_eq!(nodes, ["edge0", "edge0"]);
    let apart = ask(&[("svc@edge0", "ep0"), ("svc", "edge0")]);
    assert_eq!(apart.modules["svc@edge0"], "ep0");
    assert_eq!(apart.modules["svc@ep0"], "edge0");
    // Exchanged places have the same network between them.
    let changes = Metric::P95.of(&apart.response_ms).value - Metric::P95.of(&both.response_ms).value;
    assert!((changes - 10.0).abs() < 0.2, "{changes}");
}

#[test]
fn strategies_see_groups_and_place_them_by_either_name() {
    let site = chain();
    let tiers = tiers(&site, TIERS);
    let choices = Choices::new(&site, &tiers);
    let predictor = Predictor {
        site: &site,
        tiers: &tiers,
        choices: &choices,
        slots: Default::default(),
        scale: 1.0,
    };
    let input: Value = serde_json::from_slice(&summary(&predictor, Metric::P95).unwrap()).unwrap();
    let front = &input["modules"][1];
    assert_eq!(
        (&front["module"], &front["instances"], &front["may_run_on"]),
        (
            &Value::from("svc@ep0"),
            &Value::from(1),
            &serde_json::json!(["ep0"])
        )
    );
    assert_eq!(front["calls"][0]["module"], "svc@edge0");
    let placed = |modules: &str| {
        let output = format!(r#"{{"placements": [{{"modules": {modules}}}]}}"#);
        let proposals = parse("p", output.as_bytes(), &site, &choices);
        proposals
            .map(|proposals| proposals[0].candidate.assignment.clone())
            .map_err(|error| error.to_string())
    };
    // edge0 is the first node, and svc@edge0 the first group.
    assert_eq!(placed(r#"{"svc": "ep0"}"#).unwrap(), [1, 1]);
    assert_eq!(placed(r#"{"svc@edge0": "edge0", "svc": "ep0"}"#).unwrap(), [0, 1]);
    let refused = placed(r#"{"svc@moon": "ep0"}"#).unwrap_err();
    assert!(
        refused.contains(r#"unknown module "svc@moon"; use one of "svc@edge0", "svc@ep0""#),
        "{refused}"
    );
}
