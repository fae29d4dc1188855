//! [`notes`]: sentences about data that is missing in the figures of a run.

use crate::counted::counted;

use super::group::By;
use super::links::{LINK_INTERVALS_MAX, LinkJoin};
use super::sampled::Sampled;
use super::samples::InFlight;
use super::scan::Scan;
use super::series::GROUPS_MAX;

/// One sentence for each kind of data that is missing because of a bound, a missing row or a wrong clock.
pub fn notes(by: &[By], scan: &Scan, in_flight: &InFlight, sampled: &Sampled) -> Vec<String> {
    let mut notes: Vec<String> = without_intervals(by, scan).collect();
    notes.extend(losses(scan, in_flight, sampled));
    notes
}

fn without_intervals(by: &[By], scan: &Scan) -> impl Iterator<Item = String> {
    let is_beyond = |grouping: usize| scan.cells.keys(grouping).len() > GROUPS_MAX;
    let mut groupings = by.iter().filter_map(|by| by.grouping());
    let has_more_links = scan.links.as_ref().is_some_and(LinkJoin::has_more_than_intervals);
    let bounds = [
        (groupings.any(is_beyond), GROUPS_MAX, "groups"),
        (
            has_more_links && by.contains(&By::Link),
            LINK_INTERVALS_MAX,
            "links",
        ),
    ];
    let exceeded = bounds.into_iter().filter(|(is_exceeded, ..)| *is_exceeded);
    exceeded.map(|(_, max, what)| format!("only the first {max} {what} in the files have intervals"))
}

/// A number of rows or samples, the texts for one and for several of them, and the rest of the sentence.
type Loss = (u64, [&'static str; 2], &'static str);

fn losses(scan: &Scan, in_flight: &InFlight, sampled: &Sampled) -> impl Iterator<Item = String> {
    let links = scan.links.as_ref();
    let late = scan.arrivals.as_ref().map_or(0, |arrivals| arrivals.left_out)
        + links.map_or(0, |links| links.arrivals_left_out());
    let of_links = |count: fn(&LinkJoin) -> u64| links.map_or(0, count);
    let losses: [Loss; 7] = [
        (
            scan.outside,
            [
                "invocation starts more than a minute before started_ts of run_meta.json, or ends",
                "invocations start more than a minute before started_ts of run_meta.json, or end",
            ],
            "more than a minute after its ended_ts. A clock is wrong, and so can be the time, the rates and the utilisation",
        ),
        (
            scan.cells.beyond,
            ["invocation is", "invocations are"],
            "in (other): there are too many endpoints, modules or nodes",
        ),
        (
            of_links(|links| links.beyond),
            ["invocation is", "invocations are"],
            "on the link (other): there are too many links",
        ),
        (
            of_links(|links| links.unmatched),
            ["invocation is", "invocations are"],
            "on no link: the row of the call is missing, or far away in calls.jsonl",
        ),
        (
            late,
            ["arrival is", "arrivals are"],
            "not in interarrival_cv: the row is too far from its place in time",
        ),
        (
            in_flight.beyond,
            ["sample is", "samples are"],
            "not in in_flight: there are too many instances",
        ),
        (
            sampled.beyond,
            ["sample is", "samples are"],
            "in no check of a law: there are too many instances",
        ),
    ];
    let lost = losses.into_iter().filter(|(count, ..)| *count > 0);
    lost.map(|(count, [one, more], what)| format!("{} {what}", counted(count, one, more)))
}
