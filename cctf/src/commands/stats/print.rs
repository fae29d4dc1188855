//! Prints figures as tables, as JSON and as CSV.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use analyze::stats::Stats;
use analyze::stats::cells::{Key, OTHER_NAME};
use analyze::stats::figures::Time;
use analyze::stats::group::{By, Group};
use analyze::stats::lint::Check;
use analyze::stats::load::Load;
use analyze::stats::table::{Figure, Value, figures};
use analyze::stats::window::Window;
use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::json;

use super::intervals;
use crate::commands::cells::{UNKNOWN, counted, cut, printable, table as columns};

/// Maximum width of a group's name.
const NAME_WIDTH_MAX: usize = 60;
/// The names of a key's texts.
const KEYS: [&str; 6] = ["app_id", "module_id", "method", "route", "from_node", "node"];

const NS_PER_S: f64 = 1e9;

/// Tables of all groupings, below a summary.
pub fn table(stats: &Stats, window: Window) -> String {
    let mut out = summary(stats, window);
    let all = figures();
    let mut groupings: Vec<By> = stats.groups.iter().map(|group| group.by).collect();
    groupings.dedup();
    for by in groupings {
        let groups: Vec<&Group> = stats.groups.iter().filter(|group| group.by == by).collect();
        let names = names(&groups);
        let _ = write!(out, "\n{}", arrivals(by, &groups, &names));
        if by != By::Link {
            let _ = write!(out, "\n{}", occupancy(by, &groups, &names));
        }
        let _ = write!(out, "\n{}", times(by, &groups, &names, &all));
    }
    if !stats.checks.is_empty() {
        let row = |check: &Check| {
            let [law, verdict] = [check.law.name(), check.verdict.name()].map(str::to_owned);
            let of = cut(&printable(&check.of), NAME_WIDTH_MAX);
            [law, of, verdict, check.figures.clone()]
        };
        let rows: Vec<[String; 4]> = stats.checks.iter().map(row).collect();
        let _ = write!(
            out,
            "\n{}",
            columns(["law", "of", "verdict", "figures"], &rows, &[])
        );
    }
    out
}

fn summary(stats: &Stats, window: Window) -> String {
    let parts = match stats.parts.len() {
        0 | 1 => String::new(),
        parts => format!(" in {parts} parts"),
    };
    let mut out = format!(
        "run {}{parts}: {}",
        printable(&stats.run_id),
        counted(stats.rows, "invocation")
    );
    if let (Some(first), Some(last)) = (stats.first_ns, stats.last_ns) {
        let _ = write!(out, " in {:.1} s", last.saturating_sub(first) as f64 / NS_PER_S);
    }
    out += if stats.is_open { ", not ended\n" } else { "\n" };
    if !window.is_whole() {
        let to = window
            .to
            .map_or_else(|| "the end".to_owned(), |to| format!("{} s", to.as_secs_f64()));
        let _ = writeln!(
            out,
            "figures of the invocations that start from {} s to {to}",
            window.from.as_secs_f64()
        );
    }
    if stats.rows == 0 {
        out += "there is nothing to compute yet\n";
    } else if stats.groups.iter().all(|group| group.sums.calls == 0) {
        out += "no invocation starts in this time\n";
    }
    for note in &stats.notes {
        let _ = writeln!(out, "note: {note}");
    }
    out
}

/// Names of groups. The name of a module includes its application if another application has a module of the same name.
fn names(groups: &[&Group]) -> Vec<String> {
    let mut once = BTreeSet::new();
    let mut ambiguous = BTreeSet::new();
    let modules: BTreeSet<_> = groups
        .iter()
        .map(|group| (&group.key.module_id, &group.key.app_id))
        .collect();
    for (module, _) in modules {
        if !once.insert(module) {
            ambiguous.insert(module);
        }
    }
    let name = |group: &&Group| {
        let key = &group.key;
        let name = name(group.by, key, ambiguous.contains(&key.module_id));
        cut(&printable(&name), NAME_WIDTH_MAX)
    };
    groups.iter().map(name).collect()
}

fn name(by: By, key: &Key, with_app: bool) -> String {
    let text = |text: &Option<String>| text.as_deref().unwrap_or(UNKNOWN).to_owned();
    let module = match (&key.app_id, with_app) {
        (Some(app), true) => format!("{app}/{}", text(&key.module_id)),
        _ => text(&key.module_id),
    };
    match by {
        By::Endpoint if key.is_other && key.module_id.is_some() => format!("{module} {OTHER_NAME}"),
        _ if key.is_other => OTHER_NAME.to_owned(),
        By::Module => module,
        By::Endpoint => format!("{module} {} {}", text(&key.method), text(&key.route)),
        By::Node => text(&key.node),
        By::Link => format!("{} -> {}", text(&key.from_node), text(&key.node)),
    }
}

/// The value of a figure with this number of decimals.
fn cell(group: &Group, all: &[Figure], name: &str, decimals: usize) -> String {
    let figure = all.iter().find(|figure| figure.name == name);
    match figure.map_or(Value::Unknown, |figure| figure.value(group)) {
        Value::Unknown => UNKNOWN.to_owned(),
        Value::Count(count) => count.to_string(),
        Value::Number(number) => format!("{number:.decimals$}"),
    }
}

/// A figure other than a time, with its interval, with this number of decimals.
fn certain(group: &Group, load: Load, decimals: usize, is_percent: bool) -> [String; 2] {
    let write = |value: f64| match is_percent {
        true => format!("{:.decimals$}%", 100.0 * value),
        false => format!("{value:.decimals$}"),
    };
    let value = group.load(load).map_or_else(|| UNKNOWN.to_owned(), write);
    [value, intervals::load_cell(group, load, &write)]
}

const INTERVAL: &str = "95% interval";

/// The table of arrivals, errors and bytes.
fn arrivals(by: By, groups: &[&Group], names: &[String]) -> String {
    let row = |(group, name): (&&Group, &String)| {
        let [share, share_interval] = certain(group, Load::ErrorShare, 2, true);
        let [rate, rate_interval] = certain(group, Load::Rate, 2, false);
        let [cv, cv_interval] = certain(group, Load::Variation, 2, false);
        let [bytes_in, in_interval] = certain(group, Load::BytesIn, 0, false);
        let [bytes_out, out_interval] = certain(group, Load::BytesOut, 0, false);
        [
            name.clone(),
            group.sums.calls.to_string(),
            group.sums.errors.to_string(),
            share,
            share_interval,
            rate,
            rate_interval,
            cv,
            cv_interval,
            bytes_in,
            in_interval,
            bytes_out,
            out_interval,
        ]
    };
    let titles = [
        by.name(),
        "calls",
        "errors",
        "share",
        INTERVAL,
        "rate/s",
        INTERVAL,
        "cv",
        INTERVAL,
        "bytes in",
        INTERVAL,
        "bytes out",
        INTERVAL,
    ];
    let rows: Vec<[String; 13]> = groups.iter().zip(names).map(row).collect();
    columns(titles, &rows, &[1, 2, 3, 5, 7, 9, 11])
}

/// The table of requests in the system, and of slots.
fn occupancy(by: By, groups: &[&Group], names: &[String]) -> String {
    let optional = |value: Option<f64>, decimals: usize| {
        value.map_or_else(|| UNKNOWN.to_owned(), |value| format!("{value:.decimals$}"))
    };
    let row = |(group, name): (&&Group, &String)| {
        let [in_system, in_system_interval] = certain(group, Load::Concurrency, 3, false);
        let [busy, busy_interval] = certain(group, Load::Utilisation, 1, true);
        let [cpu, cpu_interval] = certain(group, Load::CpuShare, 1, true);
        [
            name.clone(),
            in_system,
            in_system_interval,
            optional(group.in_flight, 3),
            optional(group.slots(), 1),
            busy,
            busy_interval,
            cpu,
            cpu_interval,
        ]
    };
    let titles = [
        by.name(),
        "in system",
        INTERVAL,
        "sampled",
        "slots",
        "busy",
        INTERVAL,
        "cpu share",
        INTERVAL,
    ];
    let rows: Vec<[String; 9]> = groups.iter().zip(names).map(row).collect();
    columns(titles, &rows, &[1, 3, 4, 5, 7])
}

/// The table of times. Times without any value are left out.
fn times(by: By, groups: &[&Group], names: &[String], all: &[Figure]) -> String {
    let mut rows = Vec::new();
    for (group, name) in groups.iter().zip(names) {
        let known = Time::ALL
            .into_iter()
            .filter(|&time| group.sums.of(time).count() > 0);
        for (number, time) in known.enumerate() {
            let value = |part: &str| cell(group, all, &format!("{}_{part}", time.name()), 3);
            let intervals = group.time_intervals(time);
            let [mean, p50, p95, p99] = intervals::cells(intervals);
            // The name is printed only before the first time of a group.
            let name = if number == 0 { name.clone() } else { String::new() };
            rows.push([
                name,
                time.name().to_owned(),
                value("count"),
                intervals::effective(intervals),
                value("mean_ms"),
                mean,
                value("p50_ms"),
                p50,
                value("p95_ms"),
                p95,
                value("p99_ms"),
                p99,
            ]);
        }
    }
    let [mean, p50, p95, p99] = ["mean ms", "p50 ms", "p95 ms", "p99 ms"];
    let titles = [
        by.name(),
        "time",
        "known",
        "effective",
        mean,
        INTERVAL,
        p50,
        INTERVAL,
        p95,
        INTERVAL,
        p99,
        INTERVAL,
    ];
    columns(titles, &rows, &[2, 3, 4, 6, 8, 10])
}

/// A group as an object: its keys, then its figures.
struct Object<'a>(&'a Group, &'a [Figure]);

impl Serialize for Object<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self(group, all) = *self;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("by", group.by.name())?;
        for name in group.by.keys() {
            map.serialize_entry(name, &group.key.text(name))?;
        }
        if group.key.is_other {
            map.serialize_entry("other", &true)?;
        }
        for figure in all.iter().filter(|figure| figure.on.contains(&group.by)) {
            map.serialize_entry(&figure.name, &figure.value(group))?;
        }
        map.serialize_entry("intervals", &intervals::json(group))?;
        map.end()
    }
}

pub fn json(stats: &Stats) -> serde_json::Result<String> {
    let all = figures();
    let damaged: Vec<_> = stats
        .damages
        .shown
        .iter()
        .map(|damage| json!({ "file": damage.path, "line": damage.line, "error": damage.error.to_string() }))
        .collect();
    let groups: Vec<Object<'_>> = stats.groups.iter().map(|group| Object(group, &all)).collect();
    let head = json!({
        "run_id": stats.run_id,
        "parts": stats.parts,
        "open": stats.is_open,
        "invocations": stats.rows,
        "first_ns": stats.first_ns,
        "last_ns": stats.last_ns,
        "time_ns": stats.time_ns,
        "damaged_lines": stats.damages.count,
        "damaged": damaged,
        "notes": stats.notes,
    });
    let checks = stats.checks.iter().map(|check| {
        json!({
            "law": check.law.name(),
            "of": check.of,
            "verdict": check.verdict.name(),
            "figures": check.figures,
        })
    });
    let mut head = head;
    if !stats.checks.is_empty() {
        head["lint"] = checks.collect();
    }
    // The groups are appended as text, because serde_json cannot store integers of 128 bits.
    let head = head.to_string();
    let head = head.strip_suffix('}').unwrap_or(&head);
    Ok(format!(
        "{head},\"groups\":{}}}\n",
        serde_json::to_string(&groups)?
    ))
}

pub fn csv(stats: &Stats) -> String {
    let all = figures();
    let titles = ["by", "other"].into_iter().chain(KEYS);
    let titles = titles
        .chain(all.iter().map(|figure| &*figure.name))
        .map(str::to_owned);
    let titles: Vec<String> = titles.chain(intervals::csv_titles()).collect();
    let mut out = titles.join(",") + "\n";
    for group in &stats.groups {
        let mut fields = vec![group.by.name().to_owned(), group.key.is_other.to_string()];
        let text = |name: &str| quoted(&printable(group.key.text(name).unwrap_or_default()));
        fields.extend(KEYS.map(text));
        fields.extend(all.iter().map(|figure| match figure.value(group) {
            Value::Unknown => String::new(),
            Value::Count(count) => count.to_string(),
            Value::Number(number) => number.to_string(),
        }));
        fields.extend(intervals::csv(group));
        out += &fields.join(",");
        out.push('\n');
    }
    out
}

/// A field of CSV (RFC 4180). It is quoted if necessary.
fn quoted(text: &str) -> String {
    match text.contains([',', '"', '\n', '\r']) {
        true => format!("\"{}\"", text.replace('"', "\"\"")),
        false => text.to_owned(),
    }
}
