//! Runs that lack data: the page states what is missing, and is always written.

use analyze::stats::cells::Key;
use analyze::stats::figures::Time;
use analyze::stats::group::By;
use analyze::trace::{RowKind, Span, Trace};
use report::model::{CpuEstimate, RunData, Timeline, Validation};
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
        cpu_estimates: Default::default(),
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
    // For each module: the rate, three quantiles, the service time and the CPU time.
    assert_eq!(table.matches("scope=\"row\"").count(), 3 * 6);
    assert_eq!(table.matches("undecided").count(), 3 * 6);
}

#[test]
fn an_estimated_cpu_time_is_marked_and_a_measured_one_wins() {
    let mut run = SMALL.run("estimated");
    let endpoints = |run: &RunData| {
        let page = render(std::slice::from_ref(run), false).html;
        table(&page, "endpoints-table").to_owned()
    };
    let groups = run.stats.groups.iter().filter(|group| group.by == By::Endpoint);
    let keys: Vec<Key> = groups.map(|group| group.key.clone()).collect();
    let estimate = CpuEstimate {
        mean_ns: 2_500_000.0,
        low_ns: 2_400_000.0,
        high_ns: 2_600_000.0,
    };
    run.cpu_estimates = keys.into_iter().map(|key| (key, estimate)).collect();
    assert!(!endpoints(&run).contains("estimated"));
    for group in &mut run.stats.groups {
        group.sums.times[Time::Cpu as usize] = Default::default();
    }
    let found = endpoints(&run);
    let shown = "≈ 2.50 ms<span class=\"interval\">2.40 to 2.60 ms, estimated</span>";
    assert_eq!(found.matches(shown).count(), SMALL.endpoints, "{found}");
}

#[test]
fn a_time_that_no_invocation_has_is_no_row_of_the_window() {
    let mut run = SMALL.run("no-cpu");
    for group in &mut run.stats.groups {
        group.sums.times[Time::Cpu as usize] = Default::default();
    }
    let page = render(&[run], false).html;
    assert!(page.contains("data-row=\"service_mean\""));
    assert!(!page.contains("data-row=\"cpu_mean\""));
}

/// The table with this id.
fn table<'a>(page: &'a str, id: &str) -> &'a str {
    let behind = page.split(&format!("id=\"{id}\"")).nth(1).unwrap();
    behind.split("</table>").next().unwrap()
}

#[test]
fn without_cpu_times_no_service_time_is_called_waiting() {
    let mut run = SMALL.run("no-cpu");
    let known = render(&[SMALL.run("cpu")], false).html;
    let dashes = |page: &str| table(page, "composition-table").matches("–").count();
    assert_eq!(dashes(&known), 0);
    for group in &mut run.stats.groups {
        group.sums.times[Time::Cpu as usize] = Default::default();
    }
    let page = render(&[run], false).html;
    // The dashes are the CPU time and the other service time of each module.
    assert_eq!(dashes(&page), 2 * SMALL.modules);
}

#[test]
fn without_a_heat_map_the_page_has_no_timeline_and_says_why() {
    let page = |count: u64| {
        let mut run = SMALL.run("flat");
        for bucket in &mut run.timeline.run.buckets {
            let response = &mut bucket.times[Time::Response as usize];
            response.count = count;
            response.bins = (count > 0).then_some((0, count as u32)).into_iter().collect();
        }
        render(&[run], false).html
    };
    for (count, text) in [
        (0, "No invocation has a response time."),
        (7, "All known response times are 0."),
    ] {
        let page = page(count);
        assert!(page.contains(text), "{text}");
        assert!(!page.contains("id=\"timeline\"") && !page.contains("id=\"window-controls\""));
        assert!(!page.contains("no room for the timeline"));
    }
}

#[test]
fn a_call_whose_duration_is_unknown_has_no_mean() {
    let mut run = SMALL.run("untimed");
    for edge in &mut run.edges {
        (edge.timed, edge.sum_ns, edge.quantiles_ns) = (0, 0, [None; 3]);
    }
    let page = render(&[run], false).html;
    // The mean and three quantiles.
    assert_eq!(
        table(&page, "calls-table").matches("–").count(),
        4 * SMALL.modules
    );
}

#[test]
fn the_title_of_a_trace_is_of_the_root_that_was_picked() {
    let mut run = SMALL.run("roots");
    run.traces.truncate(1);
    let mut root = run.traces[0].trace.nodes[2].span.clone();
    (root.module_id, root.start, root.end) = ("picked".to_owned(), 0, 77_000_000);
    (root.method, root.path) = (None, None);
    run.traces[0].root = Some(root);
    run.traces[0].failed = 4321;
    let page = render(&[run], false).html;
    assert!(page.contains(": 77 ms <bdi>picked"), "{page}");
    assert!(page.contains("(6 rows, 4321 failed)"));
}

#[test]
fn a_trace_that_is_cut_keeps_the_rows_nearest_to_its_root() {
    let large = Extent {
        traces: 9,
        trace_rows: 200,
        repeated: 10,
        ..SMALL
    };
    let mut run = large.run("large");
    for picked in &mut run.traces {
        let nodes = picked.trace.nodes.iter();
        let mut spans: Vec<Span> = nodes.map(|node| node.span.clone()).collect();
        let root = spans[0].clone();
        // This is the last of all rows in the order of the trees.
        let last = spans.last_mut().unwrap();
        last.row = RowKind::Invocation;
        last.module_id = "second below the root".to_owned();
        (last.ancestor, last.caller, last.parent_span_id) = (Some(root.span_id), None, Some(root.span_id));
        last.start = 50_000_000;
        (last.work_start, last.end) = (last.start, last.start + 1000);
        picked.trace = Trace::new(picked.trace.trace_id, spans);
        let last = picked.trace.nodes.last().unwrap();
        assert_eq!((last.depth, &*last.span.module_id), (1, "second below the root"));
    }
    let page = render(&[run], false).html;
    assert!(page.contains("more rows: cctf trace"));
    assert!(page.contains("second below the root"));
    assert_eq!(page.matches("(200 rows, 200 failed)").count(), 9);
}

#[test]
fn an_interval_that_a_run_barely_covers_does_not_change_a_rate() {
    let mut runs = [SMALL.run("first"), SMALL.run("second")];
    // Only a small part of the last second belongs to the first run. The second run has intervals of two seconds.
    runs[0].stats.time_ns = 11_050_000_000;
    runs[1].timeline.bucket_ns = 2_000_000_000;
    runs[1].timeline.run.buckets.truncate(6);
    for (run, calls) in runs.iter_mut().zip([1000, 2000]) {
        run.timeline
            .run
            .buckets
            .iter_mut()
            .for_each(|bucket| bucket.calls = calls);
    }
    let page = render(&runs, true).html;
    assert_eq!(table(&page, "compared-time-table").matches("1k/s").count(), 12);
}

#[test]
fn a_wrong_clock_is_a_verdict_and_one_is_singular() {
    let mut run = SMALL.run("clock");
    run.stats.outside = 1;
    run.stats.damages.count = 1;
    let page = render(&[run], false).html;
    assert!(page.contains("1 invocation starts more than a minute before started_ts of run_meta.json"));
    assert!(page.contains("1 damaged line is left out of the figures."));
    // The text is beside the length and beside the rate.
    assert_eq!(page.matches("may be wrong, as a clock is").count(), 2);
    let page = render(&[SMALL.run("small")], false).html;
    assert!(!page.contains("started_ts of run_meta.json"));
}

#[test]
fn a_simulated_run_says_so_first() {
    let mut run = SMALL.run("predicted");
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let facts = &mut run.meta.as_mut().unwrap().facts;
    facts.extend([
        fact("simulated_by", "SimGrid <3.32>"),
        fact("replay_of", "recorded"),
    ]);
    let sentence = "SimGrid &lt;3.32&gt; computed this run from the run recorded. No service was measured.";
    assert!(render(&[run], false).html.contains(sentence));
    assert!(
        !render(&[SMALL.run("small")], false)
            .html
            .contains("No service was measured")
    );
}

#[test]
fn a_converted_run_says_so_first() {
    let mut run = SMALL.run("foreign");
    let facts = &mut run.meta.as_mut().unwrap().facts;
    facts.push(("converted_from".to_owned(), "alibaba2021".to_owned()));
    let sentence = "Another tool recorded this run, as alibaba2021.";
    assert!(render(&[run], false).html.contains(sentence));
    assert!(!render(&[SMALL.run("small")], false).html.contains("Another tool"));
}

#[test]
fn a_trace_without_valid_rows_is_a_sentence() {
    let mut run = SMALL.run("invalid");
    let trace_id = run.traces[0].trace.trace_id;
    run.traces[0].trace = Trace::new(trace_id, Vec::new());
    let page = render(&[run], false).html;
    assert!(page.contains("None of its rows is valid, so there is nothing to draw."));
    assert!(!page.contains("id=\"trace-chart-0"));
}
