//! Verdicts as text: one of each kind, from comparisons made by hand.

use compare::margins::Margins;
use compare::model::{
    Attribution, Cause, Comparison, ConfigurationDifference, Example, GraphDifference, GraphKind, Pairing,
    PairingKind, Part, RunFacts, Shown, Topic, Undecided, Unit, Verdict, Vote, Voter,
};

use super::sheet::sheet;
use super::text::text;

fn run(run_id: &str, replay_of: Option<&str>) -> RunFacts {
    RunFacts {
        run_id: run_id.to_owned(),
        path: format!("logs/{run_id}"),
        replay_of: replay_of.map(str::to_owned),
        invocations: 2400,
        calls: 2400,
        roots: 1200,
        duration_ms: 30_000.0,
        ..RunFacts::default()
    }
}

fn voter(topic: Topic, module: Option<&str>, figures: [f64; 2], half: f64, margin: f64, vote: Vote) -> Voter {
    let [a, b] = figures;
    Voter {
        topic,
        module: module.map(str::to_owned),
        unit: Unit::Ms,
        a: Some(a),
        b: Some(b),
        explained: None,
        difference: Some(b - a),
        margin: Some(margin),
        interval: Some([b - a - half, b - a + half]),
        adjusted: Some([b - a - 2.0 * half, b - a + 2.0 * half]),
        is_exact: false,
        vote,
        reason: None,
        requests: 1200,
        needed: None,
    }
}

fn comparison(verdict: Verdict) -> Comparison {
    Comparison {
        verdict,
        a: run("before", None),
        b: run("after", Some("before")),
        pairing: Pairing {
            kind: PairingKind::Paired,
            roots: 1200,
            invocations: 2400,
            calls: 2400,
            ..Pairing::default()
        },
        voters: vec![
            voter(Topic::ResponseP95, None, [20.0, 20.5], 0.75, 2.0, Vote::Same),
            voter(
                Topic::ServiceMean,
                Some("front"),
                [2.0, 2.01],
                0.01,
                0.04,
                Vote::Same,
            ),
            voter(
                Topic::ServiceMean,
                Some("cloud0"),
                [6.9, 7.92],
                0.04,
                0.138,
                Vote::Differs,
            ),
        ],
        graph: Vec::new(),
        graph_left_out: 0,
        configuration: Vec::new(),
        shown: vec![Shown {
            module: Some("front".to_owned()),
            name: "wait distance (KS)",
            unit: Unit::Number,
            a: None,
            b: None,
            both: Some(0.0421),
        }],
        attributions: Vec::new(),
        notes: Vec::new(),
        margins: Margins::default(),
    }
}

fn service_differs() -> Verdict {
    let cause = |module: &str, text: &str, is_exact| Cause {
        topic: if is_exact {
            Topic::Slots
        } else {
            Topic::ServiceMean
        },
        module: Some(module.to_owned()),
        text: text.to_owned(),
        is_exact,
        margins: (!is_exact).then_some(7.4),
    };
    Verdict::Differs {
        causes: vec![
            cause("cloud0", "longer service", false),
            cause("front", "slots of front: 4 in A, 2 in B", true),
        ],
    }
}

fn shown(comparison: &Comparison) -> String {
    text(&sheet(comparison, None))
}

#[test]
fn a_difference_is_shown_with_its_cause_its_voters_and_its_parts() {
    let mut found = comparison(service_differs());
    found.voters[0].explained = Some(0.25);
    found.graph = vec![GraphDifference {
        kind: GraphKind::CallOnlyB,
        caller: Some("front".to_owned()),
        module: "stock".to_owned(),
        endpoint: "GET /items/{id}".to_owned(),
        module_b: None,
        endpoint_b: None,
        status_a: None,
        status_b: Some("200".to_owned()),
        count: 1200,
        is_by_chance: false,
        examples: vec![Example {
            trace_a: None,
            trace_b: Some("5b8efff798038103d269b633813fc60c".to_owned()),
        }],
    }];
    found.graph_left_out = 3;
    found.voters.push(Voter {
        reason: Some("the interval is wider than the margin; about 11800 requests would decide".to_owned()),
        needed: Some(11_800),
        ..voter(
            Topic::CpuMean,
            Some("front"),
            [1.0, 1.01],
            0.05,
            0.02,
            Vote::CannotTell,
        )
    });
    found.configuration = vec![ConfigurationDifference {
        topic: Topic::Slots,
        module: "front".to_owned(),
        what: "slots",
        a: "4".to_owned(),
        b: "2".to_owned(),
    }];
    found.attributions = vec![Attribution {
        topic: Topic::ResponseP95,
        module: None,
        a: 20.0,
        b: 20.5,
        parts: vec![
            Part {
                name: "services",
                value: 0.4,
            },
            Part {
                name: "slots",
                value: -0.1,
            },
        ],
        residual: 0.2,
        simulator_error: [0.05, -0.03],
        cannot_tell: None,
    }];
    found.pairing.roots_only_b = 1;
    found.notes = vec!["A: the run has not ended, so more rows may follow".to_owned()];
    let sheet = sheet(
        &found,
        Some("On this machine, 1 of 40 pairs differed.".to_owned()),
    );
    assert_eq!(text(&sheet), include_str!("tests/differs.txt"));
}

#[test]
fn a_cause_without_an_interval_is_shown_as_its_sentence() {
    let mut rate = voter(Topic::ArrivalRate, None, [38.5, 40.0], 0.0, 0.2, Vote::Differs);
    (rate.interval, rate.is_exact) = (None, true);
    let sentence = "B has 3.90 % more requests per second";
    let mut found = comparison(Verdict::Differs {
        causes: vec![Cause {
            topic: Topic::ArrivalRate,
            module: None,
            text: sentence.to_owned(),
            is_exact: false,
            margins: Some(7.5),
        }],
    });
    found.voters.push(rate);
    let text = shown(&found);
    assert!(text.starts_with(&format!("differs: {sentence}\n")), "{text}");
}

#[test]
fn the_headline_names_the_answer_and_what_to_do() {
    let head = |verdict| shown(&comparison(verdict)).lines().next().unwrap().to_owned();
    assert_eq!(head(Verdict::Same), "same: 3 voters are inside of the margins");
    let undecided = |topic, module: Option<&str>, needed| Undecided {
        topic,
        module: module.map(str::to_owned),
        reason: "the interval is wider than the margin".to_owned(),
        needed,
    };
    let reasons = vec![
        undecided(Topic::CpuMean, Some("front"), Some(3000)),
        undecided(Topic::ResponseP95, None, Some(11_800)),
    ];
    assert_eq!(
        head(Verdict::CannotTell { reasons }),
        "cannot tell: root response p95 and 1 further voter are undecided; about 12,000 requests would decide"
    );
    let reasons = vec![undecided(Topic::CpuMean, Some("front"), None)];
    assert_eq!(
        head(Verdict::CannotTell { reasons }),
        "cannot tell: mean CPU time of front is undecided; the interval is wider than the margin"
    );
    let reason = "the driver sent 1% of the requests more than 12 ms late".to_owned();
    assert_eq!(
        head(Verdict::Void { reason }),
        "void: the driver sent 1% of the requests more than 12 ms late"
    );
    assert_eq!(head(Verdict::Differs { causes: Vec::new() }), "differs: ");
}

#[test]
fn names_from_telemetry_do_not_control_the_terminal() {
    let mut found = comparison(service_differs());
    let hostile = "\u{1b}[2J\u{202e}x".to_owned();
    found.b.run_id.clone_from(&hostile);
    found.voters[2].module = Some(hostile.clone());
    found.notes.push(hostile.clone());
    found.verdict = Verdict::Differs {
        causes: vec![Cause {
            topic: Topic::CallGraph,
            module: Some(hostile.clone()),
            text: hostile,
            is_exact: true,
            margins: None,
        }],
    };
    let text = shown(&found);
    assert!(
        !text.contains(['\u{1b}', '\u{202e}']) && text.contains(r"\u{1b}[2J"),
        "{text}"
    );
}

#[test]
fn thousands_of_modules_make_a_table_of_bounded_length() {
    let mut found = comparison(service_differs());
    let one = found.voters[1].clone();
    found.voters.extend(vec![one; 5000]);
    found.notes = vec!["a note".to_owned(); 5000];
    let text = shown(&found);
    assert!(text.lines().count() < 200, "{}", text.lines().count());
    assert!(text.contains("4903 more rows: --format json has all"), "{text}");
    // What differs is never among the rows that are left out.
    assert!(text.contains("mean service time of cloud0"));
}
