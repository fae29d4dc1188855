//! Predictions against arithmetic: links, speeds and slots in an idle system, and the recorded run itself.

use std::collections::BTreeMap;

use cctf_stack::stand_ins::{Placed, Placement};
use place::assignments::Choices;
use place::evaluation::Metric;
use place::predictor::Predictor;
use place::ranking::{Ranking, rank};
use place::site::Site;
use place::tiers::Tiers;
use place::traffic::{Traffic, links};
use place::uncertainty::Interval;
use place::whatif::{Answer, Change, what_if};
use plan::stations::Load;

use crate::run::{MS, Shop, node, poisson, site};
use crate::theory::options;

const TIERS: &str = r#"{
  "nodes": {
    "ep0": {"cores": 8}, "edge0": {"cores": 8},
    "cloud0": {"cores": 8, "mips_per_core": 4000, "price_per_hour": 0.5, "power_idle_w": 10, "power_max_w": 20}
  },
  "links": [
    {"u": "ep0", "v": "cloud0", "delay_ms": 20, "price_per_gb": 0.1},
    {"u": "edge0", "v": "cloud0", "delay_ms": 15, "rate_bps": 10000000}
  ]
}"#;

pub fn tiers(site: &Site, text: &str) -> Tiers {
    let tiers = Tiers::parse(text.as_bytes()).unwrap();
    tiers.complete(&site.recording, &site.groups).unwrap()
}

pub fn ranked(site: &Site, tiers: &Tiers, scale: f64) -> (Choices, Ranking) {
    let choices = Choices::new(site, tiers);
    let predictor = Predictor {
        site,
        tiers,
        choices: &choices,
        slots: Default::default(),
        scale,
    };
    let ranking = rank(&predictor, Vec::new(), &options(), &|_, _, _| true).unwrap();
    (choices, ranking)
}

#[test]
fn a_link_from_outside_needs_the_recorded_one() {
    let shop = Shop {
        nodes: ["ep0", "edge0", "driver0"]
            .map(|name| node(name, 8, Some(1_000.0)))
            .join(","),
        ..Shop::idle(20)
    };
    let site = site(&shop).unwrap();
    let ask_with = |driver_links: &str| {
        let text = TIERS.replace("\"links\": [", &format!("\"links\": [{driver_links},"));
        let all = tiers(&site, &text);
        ask(&site, &all, &all, &moved("front", "cloud0"))
            .after
            .not_predicted_because
    };
    let new = r#"{"u": "driver0", "v": "cloud0", "delay_ms": 20}"#;
    let reasons = ask_with(new).join("; ");
    let expected = "the recorded link from driver0 to ep0 is unknown";
    assert!(reasons.contains(expected), "{reasons}");
    let recorded = r#"{"u": "driver0", "v": "ep0", "delay_ms": 1}"#;
    assert_eq!(ask_with(&format!("{new}, {recorded}")), [] as [String; 0]);
}

fn change() -> Change {
    Change {
        moves: BTreeMap::new(),
        slots: BTreeMap::new(),
        scale: 1.0,
    }
}

fn moved(module: &str, node: &str) -> Change {
    Change {
        moves: BTreeMap::from([(module.to_owned(), node.to_owned())]),
        ..change()
    }
}

fn ask(site: &Site, recorded: &Tiers, changed: &Tiers, change: &Change) -> Answer {
    let asked = what_if(site, (recorded, changed), change, &options(), &|_, _, _| true);
    asked.unwrap()
}

fn is(found: Interval, expected_ms: f64) {
    // Halves of network times are rounded to nanoseconds.
    for value in [found.low, found.value, found.high] {
        assert!((value - expected_ms).abs() < 1e-5, "{found:?} {expected_ms}");
    }
}

/// The change of all figures, which must be the same and certain.
fn difference(answer: &Answer, expected_ms: f64) {
    assert_eq!(answer.after.not_predicted_because, [] as [String; 0]);
    for metric in Metric::ALL {
        is(metric.of(&answer.difference_ms), expected_ms);
    }
}

#[test]
fn the_recorded_placement_has_its_recorded_responses() {
    for shop in [Shop::idle(50), poisson(3_000, 0.7, 5)] {
        let site = site(&shop).unwrap();
        let tiers = tiers(&site, TIERS);
        let (_, ranking) = ranked(&site, &tiers, 1.0);
        for figure in ranking.calibration.figures() {
            let difference = (figure.recorded_ms - figure.simulated_ms).abs();
            assert!(difference < 1e-3, "{figure:?}");
        }
    }
}

#[test]
fn waits_for_cpus_that_other_processes_caused_stay_as_recorded() {
    // No request of the run waits for another one, so the CPU that a service waits for is used by something else.
    let site = site(&Shop {
        back_cpu_wait_ns: 2 * MS,
        ..Shop::idle(50)
    })
    .unwrap();
    let tiers = tiers(&site, TIERS);
    let (_, ranking) = ranked(&site, &tiers, 1.0);
    for figure in ranking.calibration.figures() {
        let difference = (figure.recorded_ms - figure.simulated_ms).abs();
        assert!(difference < 1e-3, "{figure:?}");
    }
    // The services themselves move with their waits.
    difference(&ask(&site, &tiers, &tiers, &moved("back", "ep0")), -2.0 * 5.0);
}

#[test]
fn a_move_changes_an_idle_response_by_its_links() {
    let site = site(&Shop::idle(50)).unwrap();
    let all = tiers(&site, TIERS);
    // The recorded link of 5 ms has 100 Mbit/s: 0.096 ms for 1,200 bytes.
    let recorded_ms = 2.0 * 5.0 + 1_200.0 * 8.0 / 1e8 * 1e3;
    let same_node = ask(&site, &all, &all, &moved("back", "ep0"));
    // Nothing of the network time is left but what exceeds the link: of 10 ms, the transfer is a part.
    difference(&same_node, -2.0 * 5.0);
    let far = ask(&site, &all, &all, &moved("back", "cloud0"));
    // A quarter of 10% of 4 ms is left of the CPU time.
    difference(&far, 2.0 * 20.0 - 2.0 * 5.0 - 0.4 * 0.75);
    assert!(
        recorded_ms > 10.0,
        "the estimate of the link is longer than the call"
    );
}

#[test]
fn a_link_adds_twice_its_delay_for_each_call() {
    let site = site(&Shop::idle(50)).unwrap();
    let recorded = Tiers::recorded(&site.recording, &site.groups);
    for delay_ms in [5, 6, 30] {
        let mut changed = recorded.clone();
        changed.links.push(place::tiers::Link {
            u: "ep0".to_owned(),
            v: "edge0".to_owned(),
            delay_ms: Some(delay_ms),
            ..Default::default()
        });
        let answer = ask(&site, &recorded, &changed, &change());
        let is_other = f64::from(u8::from(delay_ms != 5));
        // The transfer of 1,200 bytes is in the model of the link, and was not in the recorded 10 ms.
        let transfer_ms = 0.096 * is_other;
        difference(&answer, 2.0 * (delay_ms as f64 - 5.0) + transfer_ms);
    }
}

#[test]
fn a_faster_node_takes_less_cpu_time_and_no_less_other_time() {
    let site = site(&Shop::idle(50)).unwrap();
    let recorded = Tiers::recorded(&site.recording, &site.groups);
    let mut changed = recorded.clone();
    changed.nodes.get_mut("edge0").unwrap().speed_factor = Some(2.0);
    let answer = ask(&site, &recorded, &changed, &change());
    difference(&answer, -0.2);
}

#[test]
fn more_slots_take_the_waits_away() {
    let shop = poisson(3_000, 0.7, 5);
    let site = site(&shop).unwrap();
    let recorded = Tiers::recorded(&site.recording, &site.groups);
    let slots = Change {
        slots: BTreeMap::from([("back".to_owned(), 1_000)]),
        ..change()
    };
    let answer = ask(&site, &recorded, &recorded, &slots);
    let services: Vec<i64> = shop.requests.iter().map(|request| request.1).collect();
    let rest = (shop.front_ns[0] + shop.front_ns[1] + 2 * shop.net_ns) as f64 / MS as f64;
    let mean = services.iter().sum::<i64>() as f64 / services.len() as f64 / MS as f64 + rest;
    let found = answer.after.response_ms.mean.value;
    // Eight cores suffice for all requests at once but a few.
    assert!((found - mean).abs() < 0.01, "{found} {mean}");
    assert!(answer.difference_ms.p95.high < 0.0, "{:?}", answer.difference_ms);
}

#[test]
fn placements_are_ranked_and_a_what_if_agrees_with_them() {
    let site = site(&poisson(3_000, 0.4, 5)).unwrap();
    let all = tiers(&site, TIERS);
    let (choices, ranking) = ranked(&site, &all, 1.0);
    assert_eq!(choices.count(), 9);
    assert_eq!(
        (ranking.searched.screened.len(), ranking.searched.is_complete),
        (9, true)
    );
    assert_eq!(ranking.predicted, 9);
    let name = |place: usize| {
        let nodes = ranking.ranked[place].case.candidate.assignment.iter();
        nodes
            .map(|node| choices.nodes[*node as usize].as_str())
            .collect::<Vec<_>>()
    };
    // Both together on the fastest node: no network, and the least CPU time. Modules are in the order of their names.
    assert_eq!(name(0), ["cloud0", "cloud0"]);
    assert!(ranking.probability.unwrap() > 0.9, "{:?}", ranking.probability);
    let cloud = ranking.ranked.iter().find(|one| {
        one.case.placement.modules.len() == 1
            && one
                .case
                .placement
                .modules
                .get("back")
                .is_some_and(|back| back.node.as_deref() == Some("cloud0"))
    });
    let cloud = cloud.unwrap();
    let asked = ask(&site, &all, &all, &moved("back", "cloud0"));
    for metric in Metric::ALL {
        let placed = cloud
            .replicated
            .interval(metric, ranking.calibration.error(metric));
        assert_eq!(metric.of(&asked.after.response_ms), placed);
    }
}

#[test]
fn a_placement_file_gives_the_nodes_of_its_prediction() {
    let site = site(&Shop::idle(20)).unwrap();
    let all = tiers(&site, TIERS);
    let (choices, ranking) = ranked(&site, &all, 1.0);
    for ranked in &ranking.ranked {
        let read = Placement::parse(&ranked.case.placement.to_json()).unwrap();
        assert_eq!(read, ranked.case.placement);
        let placed = Placed::new(&site.recording, &read).unwrap();
        for (group, node) in site.groups.iter().zip(&ranked.case.candidate.assignment) {
            let node = choices.nodes[*node as usize].as_str();
            let id = format!("{}-1", group.module);
            assert_eq!(placed.node_of(&group.module, &id), Some(node));
        }
    }
    let recorded = ranking.ranked.iter().find(|ranked| ranked.is_recorded).unwrap();
    assert!(recorded.case.placement.modules.is_empty());
}

#[test]
fn traffic_and_cost_follow_from_bodies_and_prices() {
    let site = site(&Shop::idle(51)).unwrap();
    let all = tiers(&site, TIERS);
    let answer = ask(&site, &all, &all, &moved("back", "cloud0"));
    // Five requests a second.
    let bytes: Vec<(&str, &str, f64)> = answer
        .after
        .links
        .iter()
        .map(|link| (link.u.as_str(), link.v.as_str(), link.bytes_per_s.round()))
        .collect();
    assert_eq!(bytes, [("ep0", "cloud0", 5_000.0), ("cloud0", "ep0", 1_000.0)]);
    let price = 0.5 + 0.1 * 6_000.0 * 3_600.0 / 1e9;
    assert!((answer.after.price_per_hour.unwrap() - price).abs() < 1e-6);
    // 0.1 ms of CPU time in each of five requests a second on eight cores.
    let busy = 5.0 * 0.1e-3 / 8.0;
    assert!(
        (answer.after.power_w.unwrap() - (10.0 + 10.0 * busy)).abs() < 1e-3,
        "{:?}",
        answer.after.power_w
    );
}

#[test]
fn messages_go_to_their_broker_and_not_over_the_link_of_calls() {
    let site = site(&Shop::idle(51)).unwrap();
    let all = tiers(&site, TIERS);
    let choices = Choices::new(&site, &all);
    let predictor = Predictor {
        site: &site,
        tiers: &all,
        choices: &choices,
        slots: Default::default(),
        scale: 1.0,
    };
    let case = predictor.case(choices.recorded().into()).unwrap();
    let mut load = site.load.clone();
    let carried = |load: &Load| links(&Traffic::new(load, 1_000_000_000), &case.surroundings).len();
    assert_eq!(carried(&load), 2);
    load.calls.iter_mut().for_each(|call| call.is_message = true);
    assert_eq!(carried(&load), 0);
}
