//! What is refused or marked as not predicted, each with its sentence.

use place::tiers::Tiers;

use crate::arithmetic::{ranked, tiers};
use crate::run::{Shop, node, poisson, site};

#[test]
fn tiers_that_do_not_fit_the_run_get_one_sentence() {
    let site = site(&Shop::idle(3)).unwrap();
    let both = r#""ep0": {"cores": 2}, "edge0": {"cores": 2}"#;
    for (text, cause) in [
        ("{}".to_owned(), "no node is named; add the nodes"),
        (
            r#"{"nodes": {"ep0": {}}}"#.to_owned(),
            r#"node "edge0", on which the run has back, is not named; add it to "nodes""#,
        ),
        (
            format!(r#"{{"nodes": {{{both}, "fog0": {{}}}}}}"#),
            r#"node "fog0" has no cores, and the run does not have them either"#,
        ),
        (
            format!(r#"{{"nodes": {{{both}}}, "links": [{{"u": "ep0", "v": "moon"}}]}}"#),
            r#"the link "ep0" to "moon" names the unknown node "moon"; use one of "edge0", "ep0""#,
        ),
        (
            format!(r#"{{"nodes": {{{both}}}, "outside": "moon"}}"#),
            r#"requests from "outside" come from node "moon", which neither the run nor a node or link of the file has"#,
        ),
        (
            format!(r#"{{"nodes": {{{both}}}, "links": [{{"u": "ep0", "v": "ep0"}}]}}"#),
            "a link leads from node \"ep0\" to itself",
        ),
        (
            format!(
                r#"{{"nodes": {{{both}}}, "links": [{{"u": "ep0", "v": "edge0"}}, {{"u": "ep0", "v": "edge0"}}]}}"#
            ),
            "is there twice; remove one",
        ),
        (
            format!(r#"{{"nodes": {{{both}}}, "modules": {{"cart": {{"on": ["ep0"]}}}}}}"#),
            r#"a rule names module "cart", which processed no request in shop; its modules are "back", "front""#,
        ),
        (
            format!(r#"{{"nodes": {{{both}}}, "modules": {{"back": {{"on": ["moon"]}}}}}}"#),
            r#"the rule of module "back" names the unknown node "moon""#,
        ),
        (
            format!(
                r#"{{"nodes": {{{both}}}, "modules": {{"back": {{"on": ["ep0"], "not_on": ["ep0"]}}}}}}"#
            ),
            r#"module "back" may run on no node"#,
        ),
        (
            r#"{"nodes": {"ep0": {"cores": 2, "host": "vm"}, "edge0": {"cores": 4, "host": "vm"}}}"#
                .to_owned(),
            "the nodes of host \"vm\" have different cores",
        ),
        (
            r#"{"nodes": {"ep0": {"modules_max": 1}, "edge0": {"modules_max": 0}}}"#.to_owned(),
            "leaves room for 1 of 2 modules",
        ),
    ] {
        let parsed = Tiers::parse(text.as_bytes()).unwrap();
        let error = parsed
            .complete(&site.recording, &site.groups)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("invalid tiers: ") && error.contains(cause),
            "{error}"
        );
    }
}

#[test]
fn a_run_of_one_request_is_not_predicted() {
    let site = site(&Shop::idle(1)).unwrap();
    let tiers = tiers(&site, r#"{"nodes": {"ep0": {}, "edge0": {}}}"#);
    let (_, ranking) = ranked(&site, &tiers, 1.0);
    assert_eq!(ranking.predicted, 0);
    let reasons = &ranking.ranked[0].predicted.reasons;
    assert!(
        reasons
            .iter()
            .any(|reason| reason.starts_with("there are so few requests")),
        "{reasons:?}"
    );
}

#[test]
fn a_run_without_cpu_times_is_refused() {
    let shop = Shop {
        back_cpu_percent: None,
        ..Shop::idle(3)
    };
    let error = site(&shop).unwrap_err().to_string();
    assert!(
        error.contains("none of its invocations has a CPU time"),
        "{error}"
    );
}

#[test]
fn what_nobody_knows_is_marked_as_not_predicted() {
    let shop = Shop {
        nodes: node("ep0", 8, None) + "," + &node("edge0", 8, None),
        ..Shop::idle(20)
    };
    let site = site(&shop).unwrap();
    let all = tiers(
        &site,
        r#"{"nodes": {"ep0": {}, "edge0": {}, "cloud0": {"cores": 8}}, "modules": {"front": {"on": ["ep0"]}}}"#,
    );
    let (choices, ranking) = ranked(&site, &all, 1.0);
    assert_eq!(ranking.predicted, 1, "only the recorded placement is known");
    assert!(ranking.ranked[0].is_recorded);
    let reasons = |node: &str| {
        let number = choices.nodes.iter().position(|known| known == node).unwrap();
        let is_there = |assignment: &[u32]| assignment[0] == number as u32;
        let found = ranking
            .ranked
            .iter()
            .find(|one| is_there(&one.case.candidate.assignment));
        found.unwrap().predicted.reasons.join("; ")
    };
    assert!(
        reasons("ep0").contains("the speed of edge0 or of ep0 is unknown"),
        "{}",
        reasons("ep0")
    );
    assert!(
        reasons("cloud0").contains("the link from ep0 to cloud0 is unknown"),
        "{}",
        reasons("cloud0")
    );
}

#[test]
fn what_is_too_busy_is_marked_as_not_predicted() {
    let site = site(&poisson(2_000, 0.5, 1)).unwrap();
    let text = r#"{"nodes": {"ep0": {"cores": 8}, "edge0": {"cores": 8}}, "modules": {"front": {"on": ["ep0"]}, "back": {"on": ["edge0"]}}}"#;
    let all = tiers(&site, text);
    let (_, calm) = ranked(&site, &all, 1.5);
    assert_eq!(calm.predicted, 1);
    let (_, busy) = ranked(&site, &all, 1.8);
    assert_eq!(busy.predicted, 0);
    let reason = busy.ranked[0].predicted.reasons.join("; ");
    assert!(
        reason.contains("the slots of back (back-1) are busy for"),
        "{reason}"
    );
    // A node with a hundredth of the speed needs a hundred times the CPU time.
    let mut slow = all.clone();
    slow.nodes.get_mut("ep0").unwrap().speed_factor = Some(0.01);
    let (_, slow) = ranked(&site, &slow, 1.0);
    let reason = slow.ranked[0].predicted.reasons.join("; ");
    assert!(reason.contains("the CPUs of ep0 are busy for"), "{reason}");
}
