//! [`verdict`]: derives the verdict from all votes, and sorts its causes.

use crate::model::{Cause, ConfigurationDifference, Topic, Undecided, Unit, Verdict, Vote, Voter};

/// Differences in configuration, as causes. They explain a verdict, but do not vote.
fn context(configuration: &[ConfigurationDifference]) -> impl Iterator<Item = Cause> {
    let placed = configuration
        .iter()
        .filter(|difference| difference.topic == Topic::Placement);
    placed.map(|difference| Cause {
        topic: difference.topic,
        module: Some(difference.module.clone()),
        text: format!(
            "{}: {} in A, {} in B",
            difference.what, difference.a, difference.b
        ),
        is_exact: true,
        margins: None,
    })
}

/// The verdict. It is `void` if the driver was late. One voter is enough for `differs`; `same` needs all voters.
pub fn verdict(voters: &[Voter], configuration: &[ConfigurationDifference]) -> Verdict {
    let is_lateness = |voter: &&Voter| matches!(voter.topic, Topic::LatenessP99 | Topic::LatenessMax);
    let differs = |voter: &&Voter| voter.vote == Vote::Differs;
    if let Some(late) = voters.iter().filter(is_lateness).find(differs) {
        return Verdict::Void {
            reason: late.reason.clone().unwrap_or_default(),
        };
    }
    let mut causes: Vec<Cause> = voters.iter().filter(differs).map(cause).collect();
    if !causes.is_empty() {
        causes.sort_by(order);
        // A difference in configuration is only added if a voter differs, because by itself it does not change the verdict.
        causes.extend(context(configuration));
        return Verdict::Differs { causes };
    }
    let undecided = voters.iter().filter(|voter| voter.vote == Vote::CannotTell);
    let mut reasons: Vec<Undecided> = undecided
        .map(|voter| Undecided {
            topic: voter.topic,
            module: voter.module.clone(),
            reason: voter.reason.clone().unwrap_or_default(),
            needed: voter.needed,
        })
        .collect();
    if voters.is_empty() {
        reasons.push(Undecided {
            topic: Topic::CallGraph,
            module: None,
            reason: "the runs have nothing in common".to_owned(),
            needed: None,
        });
    }
    match reasons.is_empty() {
        true => Verdict::Same,
        false => Verdict::CannotTell { reasons },
    }
}

/// The order of causes. Call graph, statuses and slots come first, then measured figures, sorted by the difference divided by
/// the margin.
fn order(left: &Cause, right: &Cause) -> std::cmp::Ordering {
    let distance = |cause: &Cause| cause.margins.unwrap_or(f64::INFINITY);
    right
        .is_exact
        .cmp(&left.is_exact)
        .then_with(|| match left.is_exact {
            true => left.topic.cmp(&right.topic),
            false => distance(right).total_cmp(&distance(left)),
        })
        .then_with(|| left.topic.cmp(&right.topic))
        .then_with(|| left.module.cmp(&right.module))
}

fn cause(voter: &Voter) -> Cause {
    let is_arrival = matches!(voter.topic, Topic::ArrivalRate | Topic::ArrivalOffset);
    let text = voter.reason.clone().unwrap_or_else(|| text(voter));
    Cause {
        topic: voter.topic,
        module: voter.module.clone(),
        text,
        // Arrivals have a margin, so they are ranked among the measured figures.
        is_exact: voter.is_exact && !is_arrival,
        margins: voter.in_margins(),
    }
}

/// Both figures, with the difference in percent.
fn text(voter: &Voter) -> String {
    let name = voter.topic.text_of(voter.module.as_deref());
    let [Some(a), Some(b), Some(difference)] = [voter.a, voter.b, voter.difference] else {
        return format!("{name} differs");
    };
    let unit = match voter.unit {
        Unit::Ms => " ms",
        Unit::PerSecond => "/s",
        _ => "",
    };
    let change = if a > 0.0 {
        format!(" ({:+.1} %)", difference / a * 100.0)
    } else {
        String::new()
    };
    format!("{name}: {a:.4}{unit} in A, {b:.4}{unit} in B{change}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn voter(topic: Topic, vote: Vote, difference: f64) -> Voter {
        Voter {
            topic,
            module: None,
            unit: Unit::Ms,
            a: Some(1.0),
            b: Some(1.0 + difference),
            explained: None,
            difference: Some(difference),
            margin: Some(0.02),
            interval: None,
            adjusted: None,
            is_exact: matches!(topic, Topic::CallGraph | Topic::LatenessMax | Topic::ArrivalRate),
            vote,
            reason: None,
            requests: 100,
            needed: Some(400),
        }
    }

    fn topics(voters: &[Voter]) -> Vec<Topic> {
        match verdict(voters, &[]) {
            Verdict::Differs { causes } => causes.iter().map(|cause| cause.topic).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn sameness_needs_all_voters_and_a_difference_one() {
        let same = voter(Topic::ServiceMean, Vote::Same, 0.0);
        let open = voter(Topic::CpuMean, Vote::CannotTell, 0.01);
        let other = voter(Topic::CpuMean, Vote::Differs, 0.1);
        assert_eq!(verdict(std::slice::from_ref(&same), &[]), Verdict::Same);
        let Verdict::CannotTell { reasons } = verdict(&[same.clone(), open.clone()], &[]) else {
            panic!("an open voter");
        };
        assert_eq!((reasons.len(), reasons[0].needed), (1, Some(400)));
        assert_eq!(topics(&[same, open, other]), [Topic::CpuMean]);
        assert!(matches!(verdict(&[], &[]), Verdict::CannotTell { .. }));
    }

    #[test]
    fn facts_come_before_figures_and_these_by_their_distance() {
        let voters = [
            voter(Topic::ArrivalRate, Vote::Differs, 0.08),
            voter(Topic::ServiceMean, Vote::Differs, -0.4),
            voter(Topic::ResponseP50, Vote::Differs, 0.06),
            voter(Topic::CallGraph, Vote::Differs, 1.0),
        ];
        let expected = [
            Topic::CallGraph,
            Topic::ServiceMean,
            Topic::ArrivalRate,
            Topic::ResponseP50,
        ];
        assert_eq!(topics(&voters), expected);
    }

    #[test]
    fn another_placement_comes_after_all_voters() {
        let placement = ConfigurationDifference {
            topic: Topic::Placement,
            module: "back".to_owned(),
            what: "nodes",
            a: "n1".to_owned(),
            b: "n2".to_owned(),
        };
        let voters = [voter(Topic::ServiceMean, Vote::Differs, 0.4)];
        let Verdict::Differs { causes } = verdict(&voters, std::slice::from_ref(&placement)) else {
            panic!("a voter differs");
        };
        let topics: Vec<Topic> = causes.iter().map(|cause| cause.topic).collect();
        assert_eq!(topics, [Topic::ServiceMean, Topic::Placement]);
        let same = [voter(Topic::ServiceMean, Vote::Same, 0.0)];
        assert_eq!(verdict(&same, &[placement]), Verdict::Same);
    }

    #[test]
    fn a_late_driver_voids_every_other_answer() {
        let mut late = voter(Topic::LatenessMax, Vote::Differs, 500.0);
        late.reason = Some("late".to_owned());
        let voters = [late, voter(Topic::CallGraph, Vote::Differs, 1.0)];
        let reason = "late".to_owned();
        assert_eq!(verdict(&voters, &[]), Verdict::Void { reason });
    }
}
