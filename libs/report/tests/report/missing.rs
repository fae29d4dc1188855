//! Runs that lack something: the page says what is missing, and never fails.

use analyze::stats::figures::Time;
use report::model::{RunData, Series, Timeline, Validation};
use report::render::render;

use crate::data::{Extent, SMALL};

fn empty() -> RunData {
    let mut run = SMALL.run("empty");
    run.stats.rows = 0;
    run.stats.time_ns = 0;
    run.stats.groups.clear();
    run.stats.checks.clear();
    RunData {
        meta: None,
        validation: Validation {
            errors: 0,
            warnings: 0,
            findings: Vec::new(),
            unchecked: Some("the run is too large".to_owned()),
        },
        timeline: Timeline::default(),
        edges: Vec::new(),
        hosts: Vec::new(),
        events: Vec::new(),
        traces: Vec::new(),
        notes: vec!["empty has no calls.jsonl".to_owned()],
        stats: run.stats,
    }
}

#[test]
fn an_empty_run_has_a_page_that_says_so() {
    let page = render(&[empty()], false).html;
    for sentence in [
        "The run has no invocation, so there are no figures.",
        "run_meta.json is missing or invalid.",
        "The files were not checked as a whole.",
        "the run is too large",
        "No law could be checked.",
        "No call was recorded.",
        "No trace was found.",
        "The run has no endpoint.",
        "host_metrics.jsonl has no rows",
        "empty has no calls.jsonl",
    ] {
        assert!(page.contains(sentence), "{sentence}");
    }
    assert!(!page.contains("no room"), "nothing is left out of an empty page");
}

#[test]
fn a_run_in_progress_and_a_run_with_damage_are_named() {
    let mut run = SMALL.run("live");
    run.stats.is_open = true;
    run.stats.damages.count = 3;
    let page = render(&[run], false).html;
    assert!(page.contains("The run has not ended: the page shows the rows written so far."));
    assert!(page.contains("3 damaged lines are left out of the figures."));
}

#[test]
fn runs_without_a_common_module_are_not_compared_and_not_refused() {
    let other = Extent {
        name: "warehouse",
        ..SMALL
    };
    let page = render(&[SMALL.run("shop-1"), other.run("warehouse-1")], true);
    let [warning] = page.warnings.as_slice() else {
        panic!("{:?}", page.warnings);
    };
    assert!(
        warning.starts_with("the runs shop-1 and warehouse-1 have no module in common"),
        "{warning}"
    );
    assert!(
        page.html
            .contains("The runs shop-1 and warehouse-1 have no module in common")
    );
    assert!(page.html.contains("id=\"run-2\""));
}

#[test]
fn compared_runs_show_each_module_once_and_what_only_one_run_has() {
    let larger = Extent { modules: 4, ..SMALL };
    let page = render(&[SMALL.run("first"), larger.run("second")], true);
    assert!(page.warnings.is_empty());
    assert!(page.html.contains("Only the run second has these modules:"));
    let table = page.html.split("id=\"compared-modules-table\"").nth(1).unwrap();
    let table = table.split("</table>").next().unwrap();
    // Rate, three quantiles, service and CPU of each module.
    assert_eq!(table.matches("scope=\"row\"").count(), 3 * 6);
    assert_eq!(table.matches("undecided").count(), 3 * 5);
}

#[test]
fn a_time_that_no_invocation_has_is_no_row_of_the_window() {
    let mut run = SMALL.run("no-cpu");
    for group in &mut run.stats.groups {
        group.sums.times[Time::Cpu as usize] = Default::default();
    }
    run.timeline.run = Series::default();
    let page = render(&[run], false).html;
    assert!(
        page.contains("data-row=\"service_mean\"") || page.contains("No invocation has a response time.")
    );
    assert!(!page.contains("data-row=\"cpu_mean\""));
}
