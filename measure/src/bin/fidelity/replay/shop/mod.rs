//! The shop of `examples/`, with services in Python, Node, Java, Go and Rust. It is recorded, and repeated by stand-ins. Then
//! the stock service moves to a node behind a link of 20 ms, both in the shop and in the stand-ins.
//!
//! - [`runs`]: starts the shop and its stand-ins.
//! - [`traces`]: the rows of a run as trees of calls.
//! - [`order`]: which calls of an invocation follow each other, and which overlap.
//! - [`responses`]: mean response times by module.

mod order;
mod responses;
mod runs;
mod traces;

use std::path::Path;

use e2e::rows::text;

use self::order::Orders;
use self::responses::{Mean, Responses};
use self::runs::{ONE_WAY_MS, Shop};
use self::traces::Traces;
use super::site::Verdict;
use crate::finding::Finding;

/// Maximum deviation of a module's mean response time in stand-ins.
const MEAN_ERROR_MAX: f64 = 0.05;
/// Maximum deviation for short responses, ms. A request between two stand-ins costs some 0.1 ms even without work.
const MEAN_ERROR_FLOOR_MS: f64 = 0.3;
/// Maximum difference between the changes of two means, as a share of the change, or of twice the one-way delay if this is
/// longer. The other modules of the shop change, too, because caches are colder and requests overlap more.
const MOVEMENT_ERROR_MAX: f64 = 0.1;
const WAY_MS: f64 = 2.0 * ONE_WAY_MS as f64;

/// Records the shop and its stand-ins, first without a change, then with the stock far away.
pub fn check(bin_dir: &Path, _duration: &str) -> anyhow::Result<Vec<Finding>> {
    let shop = Shop::start(bin_dir)?;
    let recorded = shop.record("recorded", false)?;
    let repeated = shop.repeat("stand-ins", &recorded, false)?;
    let far = shop.record("far", true)?;
    let far_repeated = shop.repeat("far-stand-ins", &recorded, true)?;
    let [near_verdict, far_verdict] = [&repeated, &far_repeated].map(|run| shop.compare(&recorded, run));
    let mut findings = vec![
        same_calls("by stand-ins", &near_verdict?),
        same_calls("by stand-ins, stock 20 ms away", &far_verdict?),
    ];
    let [recorded, repeated, far, far_repeated] =
        [recorded, repeated, far, far_repeated].map(|run| Traces::read(&run));
    let (recorded, repeated) = (recorded?, repeated?);
    findings.extend(Orders::compare(&recorded, &repeated)?.findings());
    let (truth, stand_ins) = (Responses::of(&recorded)?, Responses::of(&repeated)?);
    findings.extend(means(&truth, &stand_ins)?);
    let far_truth = Responses::of(&far?)?.moved_from(&truth)?;
    let far_stand_ins = Responses::of(&far_repeated?)?.paired_from(&stand_ins)?;
    findings.extend(movements(&far_truth, &far_stand_ins));
    Ok(findings)
}

/// The finding about call graph and statuses of each request.
fn same_calls(what: &str, verdict: &Verdict) -> Finding {
    let graph = verdict.json["graph"].as_array();
    let first = graph.and_then(|graph| graph.first());
    let first =
        first.map(|first| ["kind", "module", "endpoint"].map(|field| text(first, field).unwrap_or("-")));
    Finding::new(
        &format!("{what}: differences of call graph and statuses"),
        match (graph, first) {
            (Some(graph), Some(first)) => format!("{}: {}", graph.len(), first.join(" ")),
            (Some(_), None) => "0".to_owned(),
            (None, _) => "unknown".to_owned(),
        },
        "0".to_owned(),
        graph.is_some_and(Vec::is_empty),
    )
}

/// Mean response times of both runs, by module.
fn means(truth: &Responses, stand_ins: &Responses) -> anyhow::Result<Vec<Finding>> {
    let differences = stand_ins.paired_from(truth)?;
    let modules = truth.means().into_iter().zip(stand_ins.means()).zip(differences);
    let findings = modules.map(|(((module, recorded), (_, repeated)), (_, difference))| {
        let margin_ms = (MEAN_ERROR_MAX * recorded.ms).max(MEAN_ERROR_FLOOR_MS);
        let share = 100.0 / recorded.ms;
        Finding::new(
            &format!("{module}: mean response {recorded}, by stand-ins"),
            format!(
                "{:.2} ms, {:+.1} ± {:.1} %",
                repeated.ms,
                difference.ms * share,
                difference.error_ms * share
            ),
            format!("within {margin_ms:.2} ms"),
            difference.ms.abs() <= margin_ms,
        )
    });
    Ok(findings.collect())
}

/// Changes of the mean response times by module when the stock is far away.
fn movements(truth: &[(String, Mean)], stand_ins: &[(String, Mean)]) -> Vec<Finding> {
    let modules = truth.iter().zip(stand_ins);
    let findings = modules.map(|((module, truth), (_, repeated))| {
        let margin_ms = MOVEMENT_ERROR_MAX * truth.ms.abs().max(WAY_MS);
        Finding::new(
            &format!("stock 20 ms away: {module} moves by {truth:+}, by stand-ins"),
            format!("{repeated:+}"),
            format!("within {margin_ms:.2} ms"),
            (repeated.ms - truth.ms).abs() <= margin_ms,
        )
    });
    findings.collect()
}
