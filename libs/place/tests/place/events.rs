//! Migrations and scalings during a run, against arithmetic.

use cctf_stack::stand_ins::{Placed, Placement};
use place::arrivals::Sample;
use place::assignments::Choices;
use place::events::{Action, Event, When};
use place::predictor::{Candidate, Case, Loaded, Predicted, Predictor};
use place::site::Site;
use place::strategy::parse;

use crate::arithmetic::tiers;
use crate::run::{MS, Shop, poisson, site};

const TIERS: &str = r#"{"nodes": {"ep0": {"cores": 8}, "edge0": {"cores": 8}, "fog0": {"cores": 8, "mips_per_core": 1000}},
  "links": [{"u": "ep0", "v": "fog0", "delay_ms": 7}], "modules": {"front": {"on": ["ep0"]}}}"#;
const SECOND: i64 = 1_000 * MS;
/// The only movable group, `back`, is the first one.
const BACK: u32 = 0;

/// Simulates a run with these events of `back`.
fn predicted(site: &Site, events: &[(When, Action)]) -> (Case, Predicted) {
    predicted_with(site, TIERS, events)
}

fn predicted_with(site: &Site, text: &str, events: &[(When, Action)]) -> (Case, Predicted) {
    let tiers = tiers(site, text);
    let choices = Choices::new(site, &tiers);
    let predictor = Predictor {
        site,
        tiers: &tiers,
        choices: &choices,
        slots: Default::default(),
        scale: 1.0,
    };
    let events = events.iter().map(|(when, action)| Event {
        group: BACK,
        when: *when,
        action: *action,
    });
    let candidate = Candidate {
        assignment: choices.recorded().clone(),
        events: events.collect(),
    };
    let sample = Sample::new(&site.load, usize::MAX);
    let loaded = Loaded::new(sample.load.clone(), &sample);
    let mut case = predictor.case(candidate).unwrap();
    let predicted = predictor.predict_events(&mut case, &loaded).unwrap();
    (case, predicted)
}

/// Number of a node in the order of names.
fn node(name: &str) -> u32 {
    ["edge0", "ep0", "fog0"]
        .iter()
        .position(|node| *node == name)
        .unwrap() as u32
}

#[test]
fn requests_after_a_migration_use_the_new_node() {
    // Five requests a second for ten seconds. The network is 10 ms, and within a node 0.
    let site = site(&Shop::idle(50)).unwrap();
    let (case, predicted) = predicted(&site, &[(When::At(5 * SECOND), Action::Migrate(node("ep0")))]);
    assert_eq!(predicted.reasons, [] as [String; 0]);
    let [mean, p50, p95, _] = predicted.evaluation.times;
    assert!((mean - (15.5 + 5.5) / 2.0).abs() < 1e-3, "{mean}");
    assert!(
        (p50 - 5.5).abs() < 1e-3 && (p95 - 15.5).abs() < 1e-3,
        "{p50} {p95}"
    );
    assert_eq!(predicted.events_ns, [Some(5 * SECOND)]);
    // Half of the traffic leaves the node.
    assert!(
        (predicted.links[0].bytes_per_s - 2_500.0).abs() < 1.0,
        "{:?}",
        predicted.links
    );
    assert_eq!(case.surroundings.nodes, ["edge0", "ep0", "ep0"]);
}

#[test]
fn a_node_that_only_an_event_uses_is_in_the_file() {
    let site = site(&Shop::idle(50)).unwrap();
    let (case, predicted) = predicted(&site, &[(When::At(SECOND), Action::Migrate(node("fog0")))]);
    // Twice 7 ms instead of twice 5 ms.
    let p95 = predicted.evaluation.times[2];
    assert!((p95 - 19.5).abs() < 1e-3, "{p95}");
    let read = Placement::parse(&case.placement.to_json()).unwrap();
    assert_eq!(read, case.placement);
    let placed = Placed::new(&site.recording, &read).unwrap();
    let stage = &placed.stages[0];
    assert_eq!(
        (stage.at_s, stage.from.as_str(), stage.node.as_str()),
        (1.0, "edge0", "fog0")
    );
    let ids = &stage.turns[&("back".to_owned(), "back-1".to_owned())];
    assert_eq!(ids, &["back-1@fog0"]);
    let started = placed
        .stand_ins
        .iter()
        .find(|one| one.instance == ids[0])
        .unwrap();
    assert_eq!(
        (started.node.as_str(), started.station.slots),
        ("fog0", Some(100))
    );
}

#[test]
fn scaled_instances_take_turns() {
    let shop = poisson(3_000, 0.7, 5);
    let site = site(&shop).unwrap();
    let (case, predicted) = predicted(&site, &[(When::At(0), Action::Scale(2))]);
    // Two queues with one slot each, and every other request goes to the other one.
    let rest = shop.front_ns[0] + shop.front_ns[1] + 2 * shop.net_ns;
    let mut free = [i64::MIN; 2];
    let responses = shop.requests.iter().enumerate().map(|(number, (at, service))| {
        let end = free[number % 2].max(*at) + service;
        free[number % 2] = end;
        end - at + rest
    });
    let mean = responses.sum::<i64>() as f64 / shop.requests.len() as f64 / MS as f64;
    let found = predicted.evaluation.times[0];
    assert!((found - mean).abs() < 0.01, "{found} {mean}");
    let ids =
        (0..case.surroundings.nodes.len() as u32).map(|number| case.surroundings.instance(&site, number).1);
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    assert_eq!(ids, ["back-1", "back-1+1", "front-1"]);
}

#[test]
fn an_event_happens_when_the_slots_have_been_busy() {
    // One slot: busy for 10% of 20 s, then for 80%. After six more seconds, ten seconds have 52%.
    let calm = (0..200).map(|number| (number * 100 * MS, 10 * MS));
    let busy = (0..4_000).map(|number| (20 * SECOND + number * 10 * MS, 8 * MS));
    let shop = Shop::of(calm.chain(busy).collect());
    let site = site(&shop).unwrap();
    let events = [
        (When::Above(0.5), Action::Scale(2)),
        (When::Above(0.9), Action::Scale(3)),
        (When::Above(0.35), Action::Migrate(node("ep0"))),
    ];
    let (_, one) = predicted(&site, &events[..2]);
    assert_eq!(one.events_ns, [Some(26 * SECOND), None]);
    // After a first event, the second one needs ten more seconds: half of 80% is above 35%.
    let (_, two) = predicted(&site, &[events[0], events[2]]);
    assert_eq!(two.events_ns, [Some(34 * SECOND), Some(24 * SECOND)]);
}

#[test]
fn stand_ins_have_the_slots_that_the_prediction_has_on_each_node() {
    let site = site(&Shop::idle(50)).unwrap();
    let limits = r#"{"nodes": {"ep0": {"cores": 8, "slots_max": 60}, "edge0": {"cores": 8}, "fog0": {"cores": 8, "mips_per_core": 1000}},
      "links": [{"u": "ep0", "v": "fog0", "delay_ms": 7}], "modules": {"front": {"on": ["ep0"]}}}"#;
    let to = |at_s: i64, name: &str| (When::At(at_s * SECOND), Action::Migrate(node(name)));
    let events = [to(2, "ep0"), to(4, "fog0"), to(6, "edge0")];
    let (case, _) = predicted_with(&site, limits, &events);
    let placement = Placement::parse(&case.placement.to_json()).unwrap();
    let placed = Placed::new(&site.recording, &placement).unwrap();
    let of_back = placed.stand_ins.iter().filter(|one| one.module == "back");
    let mut started: Vec<(&str, Option<u32>)> = of_back
        .map(|one| (one.node.as_str(), one.station.slots))
        .collect();
    started.sort_unstable();
    assert_eq!(
        started,
        [("edge0", Some(100)), ("ep0", Some(60)), ("fog0", Some(100))]
    );
    let hosts = &case.surroundings.platform.hosts;
    let mut simulated: Vec<(&str, Option<u32>)> = (0..hosts.len())
        .filter(|number| case.surroundings.instance(&site, *number as u32).0 == "back")
        .map(|number| {
            (
                case.surroundings.nodes[number].as_str(),
                hosts[number].station.slots,
            )
        })
        .collect();
    simulated.sort_unstable();
    assert_eq!(simulated, started);
}

#[test]
fn slots_of_several_instances_can_exceed_32_bits() {
    let site = site(&Shop {
        back_reports_slots: Some(u32::MAX),
        ..Shop::idle(100)
    })
    .unwrap();
    let events = [
        (When::At(0), Action::Scale(2)),
        (When::Above(0.5), Action::Scale(3)),
    ];
    let (_, predicted) = predicted(&site, &events);
    assert_eq!(predicted.events_ns, [Some(0), None]);
}

#[test]
fn rules_hold_for_each_placement_that_events_can_make() {
    let site = site(&Shop::idle(3)).unwrap();
    // One module at a time on ep0.
    let tiers = tiers(
        &site,
        r#"{"nodes": {"ep0": {"cores": 8, "modules_max": 1}, "edge0": {"cores": 8}, "fog0": {"cores": 8}}}"#,
    );
    let choices = Choices::new(&site, &tiers);
    let is_allowed = |front: &str, back: &str| {
        let output = format!(
            r#"{{"placements": [{{"modules": {{}}, "events": [
              {{"event": "migrate", "module": "back", "to": "ep0", {back}}},
              {{"event": "migrate", "module": "front", "to": "fog0", {front}}}]}}]}}"#
        );
        parse("p", output.as_bytes(), &site, &choices).is_ok()
    };
    // In the order of time, whatever the order of the list is.
    assert!(is_allowed(r#""at_s": 20"#, r#""at_s": 30"#));
    assert!(is_allowed(r#""at_s": 20"#, r#""at_s": 20"#), "at once");
    assert!(!is_allowed(r#""at_s": 30"#, r#""at_s": 20"#));
    // The utilisation decides whether front leaves ep0, and when.
    assert!(!is_allowed(r#""above": 0.5"#, r#""at_s": 20"#));
    assert!(!is_allowed(r#""at_s": 20"#, r#""above": 0.5"#));
}

#[test]
fn events_of_a_strategy_are_read_or_refused_in_one_sentence() {
    let site = site(&Shop::idle(3)).unwrap();
    let tiers = tiers(&site, TIERS);
    let choices = Choices::new(&site, &tiers);
    let answer = |events: &str| {
        let output = format!(r#"{{"placements": [{{"modules": {{}}, "events": {events}}}]}}"#);
        parse("p", output.as_bytes(), &site, &choices).map_err(|error| error.to_string())
    };
    let found = answer(
        r#"[{"event": "migrate", "module": "back", "to": "ep0", "at_s": 1.5},
            {"event": "scale", "module": "back@edge0", "replicas": 3, "above": 0.9999}]"#,
    );
    let expected = [
        Event {
            group: BACK,
            when: When::At(1_500 * MS),
            action: Action::Migrate(node("ep0")),
        },
        Event {
            group: BACK,
            when: When::Above(0.9999),
            action: Action::Scale(3),
        },
    ];
    assert_eq!(found.unwrap()[0].candidate.events, expected);
    for (events, cause) in [
        (
            r#"[{"event": "fly", "module": "back"}]"#,
            r#"must be "migrate" or "scale""#,
        ),
        (
            r#"[{"event": "scale", "module": "back", "replicas": 2}]"#,
            "must be an event with either at_s or above",
        ),
        (
            r#"[{"event": "scale", "module": "back", "replicas": 0, "at_s": 1}]"#,
            "replicas must be a whole number from 1 to 64",
        ),
        (
            r#"[{"event": "scale", "module": "cart", "replicas": 2, "at_s": 1}]"#,
            r#"must be one of "back", "front""#,
        ),
        (
            r#"[{"event": "migrate", "module": "back", "to": "moon", "at_s": 1}]"#,
            r#"must be one of "edge0", "ep0", "fog0""#,
        ),
        (
            r#"[{"event": "migrate", "module": "front", "to": "edge0", "at_s": 1}]"#,
            "which the tiers do not allow",
        ),
        (
            r#"[{"event": "scale", "module": "back", "replicas": 2, "above": 1}]"#,
            "must be a utilisation above 0 and below 1, not 1",
        ),
        (
            r#"[{"event": "scale", "module": "back", "replicas": 2, "above": 0}]"#,
            "must be a utilisation above 0 and below 1, not 0",
        ),
        (
            r#"[{"event": "scale", "module": "back", "replicas": 2, "at_s": 1e9}]"#,
            "must be a number of seconds from 0 to 31622400, not",
        ),
    ] {
        let refused = answer(events).unwrap_err();
        assert!(refused.contains(cause), "{events}: {refused}");
    }
    let many = vec![r#"{"event": "scale", "module": "back", "replicas": 2, "at_s": 1}"#; 17].join(",");
    let refused = answer(&format!("[{many}]")).unwrap_err();
    assert!(refused.contains("a list of at most 16 events"), "{refused}");
}
