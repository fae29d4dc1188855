//! The size of a page is at most 500 KB, however large the runs are.

use report::model::RunData;
use report::render::{BYTES_MAX, RUNS_MAX, render};

use crate::data::{Extent, SMALL};

/// A run that is larger than `gather` can make it. Its names have 4 KiB, and each character needs five in HTML.
const WORST: Extent = Extent {
    modules: 300,
    endpoints: 2048,
    series: 40,
    buckets: 120,
    bins: 150,
    traces: 9,
    trace_rows: 200,
    others: 300,
    name: "&<\"'",
    repeated: 1024,
};

fn size(runs: &[RunData], against: bool) -> usize {
    let page = render(runs, against);
    assert!(page.html.starts_with("<!doctype html>") && page.html.ends_with("</html>\n"));
    page.html.len()
}

#[test]
fn the_worst_run_fits_and_uses_the_room_that_it_has() {
    let bytes = size(&[WORST.run("worst")], false);
    assert!(bytes <= BYTES_MAX, "{bytes}");
    assert!(bytes > BYTES_MAX * 8 / 10, "{bytes}");
}

/// Checks that the page has the parts that say which figures cannot be trusted.
fn assert_essentials(page: &str, runs: usize) {
    for part in [
        "class=\"verdicts\"",
        "id=\"facts-table",
        "id=\"validation-table",
        "id=\"notes-list",
    ] {
        assert_eq!(page.matches(part).count(), runs, "{part}");
    }
}

#[test]
fn two_compared_worst_runs_share_the_size() {
    let bytes = size(&[WORST.run("r0"), WORST.run("r1")], true);
    assert!(bytes <= BYTES_MAX, "{bytes}");
}

#[test]
fn pages_of_many_runs_have_all_summaries_and_what_is_missing() {
    let plain = Extent {
        name: "checkout-service",
        repeated: 1,
        ..WORST
    };
    for (extent, count) in [(plain, 4), (WORST, RUNS_MAX)] {
        let runs: Vec<RunData> = (0..count)
            .map(|number| extent.run(&format!("r{number}")))
            .collect();
        let page = render(&runs, false).html;
        assert!(page.len() <= BYTES_MAX, "{}", page.len());
        assert!(page.len() > BYTES_MAX * 8 / 10, "{}", page.len());
        assert_essentials(&page, count);
    }
}

#[test]
fn every_part_of_a_small_run_is_complete() {
    let page = render(&[SMALL.run("small")], false).html;
    assert!(!page.contains("Left out") && !page.contains("class=\"more\""));
    assert!(page.contains("id=\"timeline\""));
    assert!(page.contains("A window recomputes the table above, and the times of all modules."));
}

#[test]
fn names_of_plain_letters_leave_room_for_charts_and_tables() {
    let plain = Extent {
        name: "checkout-service",
        repeated: 1,
        ..WORST
    };
    let page = render(&[plain.run("plain")], false).html;
    assert!(
        page.len() <= BYTES_MAX && !page.contains("Left out"),
        "{}",
        page.len()
    );
    assert!(page.contains(
        "The 30 modules with the most response time have a node of their own; the other 270 are one node."
    ));
}
