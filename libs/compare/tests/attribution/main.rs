//! Explanations of the differences between synthetic runs. The causes of these differences are known.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

mod build;

use compare::attribution::{Mixture, Partners, attribute, mix};
use compare::model::{Attribution, Topic};
use plan::plan::Ends;
use plan::stations::{Load, State, simulate};

use build::{Chain, identity, record};

const SEED: u64 = 7;

fn paired(a: &Load, b: &Load) -> Vec<Attribution> {
    let pairs = identity(a);
    attribute(&Partners::new([a, b], Some(&pairs), SEED), 2)
}

fn unpaired(a: &Load, b: &Load) -> Vec<Attribution> {
    attribute(&Partners::new([a, b], None, SEED), 2)
}

fn of<'a>(all: &'a [Attribution], topic: Topic, module: Option<&str>) -> &'a Attribution {
    all.iter()
        .find(|attribution| attribution.topic == topic && attribution.module.as_deref() == module)
        .unwrap()
}

/// The share of the recorded difference that a part explains.
fn share(attribution: &Attribution, part: &str) -> f64 {
    let part = attribution.parts.iter().find(|found| found.name == part);
    part.map_or(0.0, |part| part.value) / (attribution.b - attribution.a)
}

/// Pairs of runs that differ in one part. All other parts differ only by a little noise.
fn one_difference() -> Vec<(&'static str, Load, Load)> {
    let base = Chain::default();
    let noisy = Chain { noise: 0.001, ..base };
    vec![
        (
            "arrivals",
            base.run(),
            Chain {
                gap_ns: 0.9 * base.gap_ns,
                ..noisy
            }
            .run(),
        ),
        (
            "services",
            base.run(),
            Chain {
                back_ns: 1.1 * base.back_ns,
                ..noisy
            }
            .run(),
        ),
        (
            "slots",
            base.run(),
            Chain {
                back_slots: 1,
                ..noisy
            }
            .run(),
        ),
        (
            "placement",
            base.run(),
            Chain {
                way_ns: base.way_ns + 300_000,
                ..noisy
            }
            .run(),
        ),
    ]
}

#[test]
fn the_part_that_differs_is_named_where_requests_are_paired() {
    for (part, a, b) in one_difference() {
        let all = paired(&a, &b);
        for topic in [Topic::ResponseMean, Topic::ResponseP50, Topic::ResponseP95] {
            let response = of(&all, topic, None);
            assert!(response.cannot_tell.is_none(), "{response:?}");
            assert!(share(response, part) >= 0.9, "{part}: {response:?}");
        }
        if part == "slots" || part == "services" {
            let wait = of(&all, Topic::WaitMean, Some("back"));
            assert!(share(wait, part) >= 0.9, "{part}: {wait:?}");
        }
    }
}

#[test]
fn the_part_that_differs_is_named_where_they_are_not() {
    let base = Chain::default();
    let other = Chain { seed: 99, ..base };
    for (part, b) in [
        (
            "services",
            Chain {
                back_ns: 1.5 * base.back_ns,
                ..other
            },
        ),
        (
            "slots",
            Chain {
                back_slots: 1,
                ..other
            },
        ),
        (
            "placement",
            Chain {
                way_ns: base.way_ns + 1_000_000,
                ..other
            },
        ),
    ] {
        let all = unpaired(&base.run(), &b.run());
        let response = of(&all, Topic::ResponseMean, None);
        assert!(response.cannot_tell.is_none(), "{response:?}");
        assert!((share(response, part) - 1.0).abs() <= 0.1, "{part}: {response:?}");
    }
}

#[test]
fn parts_and_residual_add_up_to_the_difference() {
    let base = Chain::default();
    let b = Chain {
        back_slots: 1,
        gap_ns: 1.1 * base.gap_ns,
        front_ns: 1.2 * base.front_ns,
        ..base
    };
    for all in [paired(&base.run(), &b.run()), unpaired(&base.run(), &b.run())] {
        assert_eq!(all.len(), 12);
        for found in &all {
            let sum: f64 = found.parts.iter().map(|part| part.value).sum();
            assert!(
                (found.a + sum + found.residual - found.b).abs() < 1e-9,
                "{found:?}"
            );
            // The simulator computed these runs, so no difference remains unexplained.
            assert!(found.residual.abs() < 1e-9, "{found:?}");
            assert_eq!(found.simulator_error, [0.0, 0.0]);
        }
        let names: Vec<&str> = all[0].parts.iter().map(|part| part.name).collect();
        assert!(names.starts_with(&["arrivals", "services", "slots"]), "{names:?}");
    }
}

#[test]
fn exchanging_the_runs_exchanges_the_signs() {
    let base = Chain::default();
    let (a, b) = (
        base.run(),
        Chain {
            back_slots: 1,
            gap_ns: 1.2 * base.gap_ns,
            ..base
        }
        .run(),
    );
    for (there, back) in paired(&a, &b).iter().zip(&paired(&b, &a)) {
        assert_eq!((&there.module, there.topic), (&back.module, back.topic));
        for (there, back) in there.parts.iter().zip(&back.parts) {
            assert!((there.value + back.value).abs() < 1e-9 && there.name == back.name);
        }
    }
}

#[test]
fn equal_runs_have_no_parts_and_no_thread_changes_a_result() {
    let a = Chain::default().run();
    assert!(
        paired(&a, &a)
            .iter()
            .all(|found| found.parts.is_empty() && found.residual == 0.0)
    );
    let b = Chain {
        back_slots: 1,
        noise: 0.01,
        ..Chain::default()
    }
    .run();
    let pairs = identity(&a);
    let partners = Partners::new([&a, &b], Some(&pairs), SEED);
    assert_eq!(attribute(&partners, 1), attribute(&partners, 5));
}

#[test]
fn a_run_that_the_simulator_does_not_describe_has_no_answer() {
    let a = Chain::default().run();
    let mut b = Chain {
        back_slots: 1,
        ..Chain::default()
    }
    .run();
    for visit in &mut b.visits {
        visit.wait_ns *= 2;
    }
    let all = paired(&a, &b);
    let reason = of(&all, Topic::WaitMean, Some("back"))
        .cannot_tell
        .clone()
        .unwrap();
    assert!(
        reason.starts_with("the simulator does not describe run B: it gives "),
        "{reason}"
    );
    assert_eq!(of(&all, Topic::ResponseMean, None).cannot_tell, None);
    b.notes.sampled = 3;
    let reason = paired(&a, &b)[0].cannot_tell.clone().unwrap();
    assert_eq!(reason, "run B is a sample: 3 rows represent several requests");
}

#[test]
fn a_request_without_a_counterpart_keeps_its_services() {
    let a = Chain::default().run();
    let b = Chain {
        count: 100,
        back_ns: 3_000_000.0,
        ..Chain::default()
    }
    .run();
    let pairs: Vec<(u32, u32)> = identity(&b).into_iter().filter(|(a, _)| a % 4 < 2).collect();
    let partners = Partners::new([&a, &b], Some(&pairs), SEED);
    let services_of_a = mix(
        &partners,
        Mixture {
            arrivals: 1,
            services: 0,
            slots: 1,
            placement: 1,
        },
    );
    assert_eq!(services_of_a.visits.len(), b.visits.len());
    for (root, arrival) in services_of_a.arrivals.iter().enumerate() {
        let root_visit = services_of_a.visits[arrival.visit as usize];
        let below = services_of_a.calls[root_visit.first_call as usize].callee;
        let source = if root % 2 == 0 { &a } else { &b };
        assert_eq!(
            services_of_a.visits[below as usize].answer.gap_ns,
            source.visits[2 * root + 1].answer.gap_ns
        );
    }
}

#[test]
fn more_instances_are_a_matter_of_placement_and_take_turns() {
    let a = Chain::default().run();
    let b = Chain {
        instances: 3,
        ..Chain::default()
    }
    .run();
    let partners = Partners::new([&a, &b], None, SEED);
    let mixture = mix(
        &partners,
        Mixture {
            arrivals: 0,
            services: 0,
            slots: 0,
            placement: 1,
        },
    );
    let mut requests = vec![0_usize; mixture.names.instances.len()];
    for visit in &mixture.visits {
        requests[visit.instance as usize] += 1;
    }
    let of_back: Vec<usize> = (0..requests.len())
        .filter(|number| mixture.names.modules[mixture.names.module_of(*number as u32) as usize] == "back")
        .collect();
    let third = a.arrivals.len() / 3;
    assert_eq!(of_back.len(), 3);
    assert!(
        of_back
            .iter()
            .all(|number| requests[*number].abs_diff(third) <= 1),
        "{requests:?}"
    );
    // Each instance has as many slots as an instance in run A.
    assert!(
        of_back
            .iter()
            .all(|number| mixture.names.instances[*number].station.slots == Some(2))
    );
    assert!(
        simulate(&mixture)
            .iter()
            .all(|outcome| outcome.state == State::Served)
    );
}

#[test]
fn a_module_that_only_one_run_has_comes_with_its_services() {
    let a = Chain::default().run();
    let b = Chain {
        back: "other",
        ..Chain::default()
    }
    .run();
    let pairs: Vec<(u32, u32)> = identity(&a).into_iter().filter(|(a, _)| a % 2 == 0).collect();
    let partners = Partners::new([&a, &b], Some(&pairs), SEED);
    let mixture = mix(
        &partners,
        Mixture {
            arrivals: 0,
            services: 1,
            slots: 0,
            placement: 0,
        },
    );
    assert_eq!(mixture.names.modules, ["front", "back", "other"]);
    assert!(mixture.calls.iter().all(|call| call.ends == Ends::Answer));
    let all = paired(&record(a), &record(b));
    assert!(all.iter().all(|found| found.module.as_deref() != Some("back")));
}
