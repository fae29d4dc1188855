//! [`answer`]: the answer to a what-if as text.

use std::fmt::Write as _;

use place::calibration::Calibrated;
use place::evaluation::Metric;
use place::model::Placed;
use place::whatif::Answer;

use crate::commands::cells::{UNKNOWN, counted, cut, printable, table};
use crate::commands::place::table::{interval, too_short, with_bounds};

const NAME_WIDTH_MAX: usize = 40;

/// Tables and sentences for people.
pub fn answer(answer: &Answer, title: &str) -> String {
    let sample = &answer.sample;
    let which = if sample.is_part { "the first " } else { "" };
    let mut out = format!(
        "{}, from {which}{} in {:.1} s\n",
        printable(title),
        counted(sample.roots, "request"),
        sample.seconds
    );
    out += &responses(answer);
    out += &busy(answer);
    let mut line = |text: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "{}", printable(text));
    };
    if answer.after.refused_share > 0.0 {
        line(&format!(
            "a full queue refuses {:.1}% of the requests",
            100.0 * answer.after.refused_share
        ));
    }
    let shortest = [answer.before.too_short, answer.after.too_short];
    if let Some(shortest) = shortest.into_iter().flatten().min_by(f64::total_cmp) {
        line(&too_short(shortest));
    }
    for reason in &answer.after.not_predicted_because {
        line(&format!("not predicted: {reason}"));
    }
    for note in &answer.notes {
        line(&format!("note: {note}"));
    }
    out
}

fn responses(answer: &Answer) -> String {
    let row = |(metric, calibrated): (Metric, &Calibrated)| {
        let (before, after) = (&answer.before, &answer.after);
        let is_short = before.too_short.is_some() || after.too_short.is_some();
        [
            metric.as_str().to_owned(),
            format!("{:.3}", calibrated.recorded_ms),
            interval(metric.of(&before.response_ms), before.too_short.is_some()),
            interval(metric.of(&after.response_ms), after.too_short.is_some()),
            with_bounds(metric.of(&answer.difference_ms), is_short, |value| {
                format!("{value:+.2}")
            }),
            format!("{:+.1}%", 100.0 * calibrated.error),
        ]
    };
    let rows: Vec<_> = Metric::ALL
        .into_iter()
        .zip(&answer.calibration)
        .map(row)
        .collect();
    let titles = [
        "RESPONSE",
        "RECORDED MS",
        "SIMULATED MS",
        "CHANGED MS",
        "DIFFERENCE MS",
        "CALIBRATION",
    ];
    table(titles, &rows, &[1, 2, 3, 4, 5])
}

/// Utilisation of slots, CPUs and links, before and after.
fn busy(answer: &Answer) -> String {
    let share = |value: Option<f64>| {
        value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{:.0}%", 100.0 * value))
    };
    let (before, after) = (&answer.before, &answer.after);
    let mut rows: Vec<[String; 3]> = Vec::new();
    for (old, new) in before.stations.iter().zip(&after.stations) {
        if old.utilisation.is_some() || new.utilisation.is_some() {
            let same = after.stations.iter().filter(|other| other.module == new.module);
            let name = match same.count() {
                1 => format!("slots of {} on {}", new.module, new.node),
                _ => format!("slots of {} ({}) on {}", new.module, new.instance, new.node),
            };
            rows.push([name, share(old.utilisation), share(new.utilisation)]);
        }
    }
    for node in &after.nodes {
        let name = format!("CPUs of {}", node.nodes.join("+"));
        rows.push([
            name,
            share(cpus(before, &node.nodes)),
            share(Some(node.utilisation)),
        ]);
    }
    for link in after.links.iter().filter(|link| link.utilisation.is_some()) {
        let is_it = |other: &&place::traffic::LinkUse| (&other.u, &other.v) == (&link.u, &link.v);
        let old = before.links.iter().find(is_it).and_then(|link| link.utilisation);
        rows.push([
            format!("link {}->{}", link.u, link.v),
            share(old),
            share(link.utilisation),
        ]);
    }
    for row in &mut rows {
        row[0] = cut(&printable(&row[0]), NAME_WIDTH_MAX);
    }
    match rows.is_empty() {
        true => String::new(),
        false => table(["BUSY", "SIMULATED", "CHANGED"], &rows, &[1, 2]),
    }
}

/// Utilisation of the CPUs of these nodes, if they were the same machine before.
fn cpus(before: &Placed, nodes: &[String]) -> Option<f64> {
    let same = before.nodes.iter().find(|node| node.nodes == nodes);
    let first = || {
        before
            .nodes
            .iter()
            .find(|node| nodes.iter().any(|name| node.nodes.contains(name)))
    };
    same.or_else(first).map(|node| node.utilisation)
}
