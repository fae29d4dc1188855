//! [`graph`]: voters for exact differences of call graph and statuses; [`random`]: voters for random differences, by their net
//! number.

use super::candidate::{Candidate, Figures};
use crate::gather::Names;
use crate::model::{GraphDifference, GraphKind, Topic, Unit};
use crate::pairing::{Differences, RandomCounts};
use crate::pairs::Paired;
use crate::statistics::mean;

/// The two exact voters of paired runs.
pub fn graph(differences: &Differences, requests: u64) -> Vec<Candidate> {
    let voter = |topic: Topic, count: u64| {
        let is_of_topic = |difference: &&GraphDifference| {
            !difference.is_by_chance && (difference.kind == GraphKind::Status) == (topic == Topic::Statuses)
        };
        let first = differences.list.iter().find(is_of_topic);
        let figures = Figures {
            topic,
            module: None,
            unit: Unit::Count,
            a: None,
            b: None,
            explained: None,
            margin: 0.0,
            requests,
        };
        Candidate::exact(figures, count as f64, || match first {
            Some(first) => text(first),
            None => format!("{count} differences"),
        })
    };
    vec![
        voter(Topic::CallGraph, differences.exact_graph),
        voter(Topic::Statuses, differences.exact_statuses),
    ]
}

/// A difference as a sentence, without a full stop.
pub fn text(difference: &GraphDifference) -> String {
    let place = match &difference.caller {
        Some(caller) => format!("{} of {} from {caller}", difference.endpoint, difference.module),
        None => format!("{} of {} from outside", difference.endpoint, difference.module),
    };
    let count = |one: &str| match difference.count {
        1 => format!("1 {one}"),
        count => format!("{count} {one}s"),
    };
    let status = |status: &Option<String>| status.clone().unwrap_or_else(|| "none".to_owned());
    match difference.kind {
        GraphKind::RootOnlyA | GraphKind::CallOnlyA => format!("{} only in A: {place}", count("request")),
        GraphKind::RootOnlyB | GraphKind::CallOnlyB => format!("{} only in B: {place}", count("request")),
        GraphKind::AnswerOnlyA => format!("{} only in A: {place}", count("invocation")),
        GraphKind::AnswerOnlyB => format!("{} only in B: {place}", count("invocation")),
        GraphKind::OtherRequest => format!(
            "{} at another module, method or path: {} of {} in A, {} of {} in B",
            count("request"),
            difference.endpoint,
            difference.module,
            difference.endpoint_b.as_deref().unwrap_or("-"),
            difference.module_b.as_deref().unwrap_or("-"),
        ),
        GraphKind::Status => format!(
            "{} with status {} in A and {} in B: {place}",
            count("request"),
            status(&difference.status_a),
            status(&difference.status_b)
        ),
    }
}

/// Differences that occur in both directions, as net numbers in relation to all calls to the module. The positions of the
/// differing calls were not kept, so these calls count as independent.
pub fn random(paired: &Paired<'_>, names: &Names, counts: &[RandomCounts]) -> Vec<Candidate> {
    let voter = |random: &RandomCounts| {
        let number = paired.by_receiver.get(&random.receiver).map_or(0, Vec::len);
        let (of_a, of_b) = (random.of_a as usize, random.of_b as usize);
        let total = number.max(of_a + of_b);
        // The differing calls are spread evenly, so that sections differ as little as possible. The error is then that of
        // independent values.
        let mut values = vec![0.0; total];
        let step = total as f64 / (of_a + of_b) as f64;
        for place in 0..of_a + of_b {
            // Alternates between both directions as long as both have calls left.
            let is_b = place * of_b / (of_a + of_b) != (place + 1) * of_b / (of_a + of_b);
            values[(place as f64 * step) as usize] = if is_b { 1.0 } else { -1.0 };
        }
        let share = |count: usize| Some(count as f64 / total as f64);
        let figures = Figures {
            topic: Topic::FailureShare,
            module: Some(names.text(random.receiver).to_owned()),
            unit: Unit::Share,
            a: share(of_a),
            b: share(of_b),
            explained: None,
            margin: paired.margins.failure_share,
            requests: total as u64,
        };
        Candidate::estimated(figures, mean::difference(&values))
    };
    counts.iter().map(voter).collect()
}
