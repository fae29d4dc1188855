//! [`ranking`]: a ranking of placements as text.

use std::fmt::Write as _;

use place::calibration::Calibrated;
use place::evaluation::Metric;
use place::model::{EventShown, Placed, Report};
use place::uncertainty::Interval;

use crate::commands::cells::{UNKNOWN, columns, counted, cut, printable};

const PLACEMENT_WIDTH_MAX: usize = 60;
const NAME_WIDTH_MAX: usize = 40;

/// Tables and sentences for people.
pub fn ranking(report: &Report) -> String {
    let mut out = format!(
        "placements of {} by {}, from {} in {:.1} s\n",
        printable(&report.run_id),
        report.by.as_str(),
        counted(report.sample.roots, "request"),
        report.sample.seconds
    );
    let mut line = |text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {}", printable(text));
    };
    line(&calibration(&report.calibration));
    line(&searched(report));
    if report.scale != 1.0 {
        line(&format!("load: {} times the recorded one", report.scale));
    }
    if let Some(refusal) = &report.refused_because {
        line(&format!("nothing is predicted: {refusal}"));
    }
    out += &placements(report);
    out += &below(report);
    out
}

/// Recorded and simulated figures of the recorded run.
pub fn calibration(figures: &[Calibrated]) -> String {
    let of = figures.iter().map(|figure| {
        format!(
            "{} {:.3} / {:.3} ({:+.1}%)",
            figure.metric.as_str(),
            figure.recorded_ms,
            figure.simulated_ms,
            100.0 * figure.error
        )
    });
    format!(
        "calibration: recorded / simulated ms: {}",
        of.collect::<Vec<_>>().join(", ")
    )
}

fn searched(report: &Report) -> String {
    let search = &report.search;
    let which = match (search.way, search.assignments) {
        ("all", _) => format!("all {} assignments simulated", search.simulated),
        (_, Some(all)) => format!(
            "{} of {all} assignments simulated, by a local search",
            search.simulated
        ),
        (_, None) => format!("{} assignments simulated, by a local search", search.simulated),
    };
    let mut text = format!("search: {which}, {} not predicted", search.not_predicted);
    if report.sample.is_part {
        let _ = write!(
            text,
            "; of the run, only the first {} are simulated",
            counted(report.sample.roots, "request")
        );
    }
    text
}

fn placements(report: &Report) -> String {
    let has_price = report
        .placements
        .iter()
        .any(|placed| placed.price_per_hour.is_some());
    let has_power = report.placements.iter().any(|placed| placed.power_w.is_some());
    let mut titles = vec!["RANK", "PLACEMENT", "P50 MS", "P95 MS", "P99 MS", "BUSIEST"];
    titles.extend(has_price.then_some("PRICE/H"));
    titles.extend(has_power.then_some("POWER W"));
    let titles: Vec<String> = titles.into_iter().map(str::to_owned).collect();
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    let rows: Vec<Vec<String>> = report
        .placements
        .iter()
        .map(|placed| {
            let mut row = vec![
                placed
                    .rank
                    .map_or_else(|| UNKNOWN.to_owned(), |rank| rank.to_string()),
                cut(&printable(&name(placed, recorded)), PLACEMENT_WIDTH_MAX),
            ];
            let figures = [Metric::P50, Metric::P95, Metric::P99];
            row.extend(
                figures.map(|metric| interval(metric.of(&placed.response_ms), placed.too_short.is_some())),
            );
            row.push(cut(&printable(&busiest(placed)), NAME_WIDTH_MAX));
            let number =
                |value: Option<f64>| value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.3}"));
            row.extend(has_price.then(|| number(placed.price_per_hour)));
            row.extend(has_power.then(|| number(placed.power_w)));
            row
        })
        .collect();
    columns(&titles, &rows, &[0, 2, 3, 4, 6, 7])
}

/// What differs from the recorded placement; everything if that is not listed.
pub fn name(placed: &Placed, recorded: Option<&Placed>) -> String {
    if placed.is_recorded {
        return "as recorded".to_owned();
    }
    let is_moved = |(module, node): &(&String, &String)| {
        recorded.is_none_or(|recorded| recorded.modules.get(*module) != Some(node))
    };
    let moved = placed.modules.iter().filter(is_moved);
    let moved: Vec<String> = moved.map(|(module, node)| format!("{module}={node}")).collect();
    let mut name = match moved.is_empty() {
        true => "as recorded".to_owned(),
        false => moved.join(" "),
    };
    for event in &placed.events {
        // Writing to a String cannot fail.
        let _ = write!(name, ", then {}", happening(event));
    }
    name
}

fn happening(event: &EventShown) -> String {
    let what = match (&event.to, event.replicas) {
        (Some(node), _) => format!("{}={node}", event.module),
        (None, replicas) => format!("{} x{}", event.module, replicas.unwrap_or_default()),
    };
    match event.at_s {
        Some(at_s) => format!("{what} at {at_s:.0} s"),
        None => format!("{what} never"),
    }
}

/// A figure with its interval. A tilde marks an interval of a run that is too short for it.
pub fn interval(interval: Interval, is_short: bool) -> String {
    let digits = if interval.value < 10.0 { 2 } else { 1 };
    with_bounds(interval, is_short, |value| format!("{value:.digits$}"))
}

/// The same, with each number as `shown`. A figure of a run with too few requests has no bounds.
pub fn with_bounds(interval: Interval, is_short: bool, shown: impl Fn(f64) -> String) -> String {
    let Interval { value, low, high } = interval;
    let tilde = if is_short { "~" } else { "" };
    match (value.is_nan(), high.is_nan()) {
        (true, _) => UNKNOWN.to_owned(),
        (false, true) => shown(value),
        (false, false) => format!("{} {tilde}({}..{})", shown(value), shown(low), shown(high)),
    }
}

/// What is busy for the largest share of the time.
fn busiest(placed: &Placed) -> String {
    let slots = placed.stations.iter().filter_map(|station| {
        let name = format!("slots of {} on {}", station.module, station.node);
        Some((station.utilisation?, name))
    });
    let nodes = placed
        .nodes
        .iter()
        .map(|node| (node.utilisation, format!("CPUs of {}", node.nodes.join("+"))));
    let links = placed
        .links
        .iter()
        .filter_map(|link| Some((link.utilisation?, format!("{}->{}", link.u, link.v))));
    let most = slots.chain(nodes).chain(links).max_by(|a, b| a.0.total_cmp(&b.0));
    most.map_or_else(
        || UNKNOWN.to_owned(),
        |(busy, what)| format!("{:.0}% {what}", 100.0 * busy),
    )
}

fn below(report: &Report) -> String {
    let mut out = String::new();
    let mut line = |text: &str| {
        let _ = writeln!(out, "{}", printable(text));
    };
    if let Some(probability) = report.probability_first_is_best {
        line(&format!(
            "the first one is the best of the listed predictions with a probability of at least {probability:.2}"
        ));
    }
    let recorded = report.placements.iter().find(|placed| placed.is_recorded);
    for proposed in &report.strategies {
        let placed = &report.placements[proposed.placement];
        let regret = match (placed.rank, proposed.regret) {
            (Some(rank), Some(regret)) => format!("rank {rank}, regret {:.1}%", 100.0 * regret),
            _ => "not predicted".to_owned(),
        };
        line(&format!(
            "strategy {} ({}): {regret}: {}",
            proposed.strategy,
            proposed.name,
            name(placed, recorded)
        ));
    }
    for placed in report.placements.iter().filter(|placed| placed.rank.is_none()) {
        for reason in &placed.not_predicted_because {
            line(&format!("{}: not predicted: {reason}", name(placed, recorded)));
        }
    }
    for reason in &report.search.reasons {
        line(&format!(
            "{} not predicted: {}",
            counted(reason.count, "assignment"),
            reason.reason
        ));
    }
    let shortest = report.placements.iter().filter_map(|placed| placed.too_short);
    if let Some(shortest) = shortest.min_by(f64::total_cmp) {
        line(&too_short(shortest));
    }
    for note in &report.notes {
        line(&format!("note: {note}"));
    }
    out
}

/// The sentence about intervals that are too narrow.
pub fn too_short(relaxations: f64) -> String {
    format!(
        "intervals with ~ are too narrow: the run has the length of {relaxations:.0} relaxation times of its busiest queue, and 200 are needed"
    )
}
