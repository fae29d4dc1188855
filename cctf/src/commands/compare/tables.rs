//! The tables of a verdict: voters, requests that would be enough to decide, differences of call graph and deployment, figures
//! that do not vote, and contributions to differences.

use std::cmp::Reverse;

use compare::model::{
    Attribution, Comparison, ConfigurationDifference, GraphDifference, Shown, Unit, Vote, Voter, of_module,
};
use page::number::{self, NONE, exact};
use report::sheet::{Cell, SheetColumn, SheetTable, Sign};

use super::values::{about, difference, interval, margin, optional, signed};

/// All tables that have rows.
pub fn tables(found: &Comparison) -> Vec<SheetTable> {
    let all = [
        voters(&found.voters),
        decide(&found.voters),
        graph(&found.graph, found.graph_left_out),
        configuration(&found.configuration),
        attribution(&found.attributions),
        shown(&found.shown),
    ];
    all.into_iter().filter(|table| !table.rows.is_empty()).collect()
}

/// The difference divided by its margin. Infinite if the margin is 0.
fn margins(voter: &Voter) -> f64 {
    voter.in_margins().unwrap_or(match voter.difference {
        Some(difference) if difference != 0.0 => f64::INFINITY,
        _ => 0.0,
    })
}

/// Voters that differ come first, then undecided ones. Within these groups, large differences (in margins) come first.
fn voters(all: &[Voter]) -> SheetTable {
    let order = |vote: Vote| match vote {
        Vote::Differs => 0,
        Vote::CannotTell => 1,
        Vote::Same => 2,
    };
    let mut sorted: Vec<&Voter> = all.iter().collect();
    sorted.sort_by(|left, right| {
        order(left.vote)
            .cmp(&order(right.vote))
            .then_with(|| margins(right).total_cmp(&margins(left)))
    });
    let is_explained = |voter: &Voter| voter.explained.is_some_and(|explained| explained != 0.0);
    let has_explained = all.iter().any(is_explained);
    let mut columns = vec![
        SheetColumn::text("figure", "figure"),
        SheetColumn::number("a", "A"),
        SheetColumn::number("b", "B"),
        SheetColumn::number("difference", "difference"),
        SheetColumn::number("interval", "90% interval"),
        SheetColumn::number("margin", "margin"),
        SheetColumn::text("vote", "vote"),
    ];
    if has_explained {
        columns.insert(3, SheetColumn::number("explained", "explained"));
    }
    let rows = sorted.into_iter().map(|voter| {
        let unit = voter.unit;
        let sign = match voter.vote {
            Vote::Same => Sign::Good,
            Vote::Differs => Sign::Bad,
            Vote::CannotTell => Sign::Warning,
        };
        let mut row: Vec<Cell> = vec![
            voter.topic.text_of(voter.module.as_deref()).into(),
            optional(voter.a, unit).into(),
            optional(voter.b, unit).into(),
            difference(voter).into(),
            match voter.is_exact {
                true => "exact".into(),
                false => interval(voter).into(),
            },
            margin(voter).into(),
            Cell::signed(voter.vote.text(), sign),
        ];
        if has_explained {
            let explained = voter
                .explained
                .map_or_else(|| NONE.to_owned(), |part| signed(part, unit));
            row.insert(3, explained.into());
        }
        row
    });
    let note = "The interval belongs to the difference B minus A. A voter is the same if the whole interval is inside of the margin.";
    let explained = "“explained”: what simulated waits add, by arrivals, service times and slots. The difference does not contain it.";
    SheetTable {
        id: "voters",
        title: "Voters".to_owned(),
        columns,
        rows: rows.collect(),
        note: Some(match has_explained {
            true => format!("{note} {explained}"),
            false => note.to_owned(),
        }),
    }
}

/// Undecided voters, each with the number of requests that would be enough to decide.
fn decide(voters: &[Voter]) -> SheetTable {
    let undecided = voters.iter().filter(|voter| voter.vote == Vote::CannotTell);
    let mut sorted: Vec<&Voter> = undecided.collect();
    sorted.sort_by_key(|voter| Reverse(voter.needed.unwrap_or(u64::MAX)));
    let rows = sorted.into_iter().map(|undecided| {
        let reason = undecided.reason.as_deref().unwrap_or(NONE);
        vec![
            undecided.topic.text_of(undecided.module.as_deref()).into(),
            undecided.needed.map_or_else(|| NONE.to_owned(), about).into(),
            // The number has its own column, so it is removed from the reason.
            reason.split("; about ").next().unwrap_or(NONE).into(),
        ]
    });
    SheetTable {
        id: "undecided",
        title: "What would decide".to_owned(),
        columns: vec![
            SheetColumn::text("figure", "figure"),
            SheetColumn::number("requests", "requests"),
            SheetColumn::text("reason", "reason"),
        ],
        rows: rows.collect(),
        note: None,
    }
}

fn graph(differences: &[GraphDifference], left_out: u64) -> SheetTable {
    let rows = differences.iter().map(|found| {
        let status = |status: &Option<String>| status.as_deref().unwrap_or(NONE).to_owned();
        let traces = found.examples.first();
        let trace = traces.and_then(|example| example.trace_a.as_ref().or(example.trace_b.as_ref()));
        vec![
            found.kind.text().into(),
            found.caller.as_deref().unwrap_or(NONE).into(),
            both(&found.module, found.module_b.as_deref()).into(),
            both(&found.endpoint, found.endpoint_b.as_deref()).into(),
            status(&found.status_a).into(),
            status(&found.status_b).into(),
            exact(found.count).into(),
            if found.is_by_chance { "yes" } else { "no" }.into(),
            trace.map_or(NONE, String::as_str).into(),
        ]
    });
    let left_out = (left_out > 0).then(|| {
        format!(
            "{} left out.",
            number::counted(left_out, "further difference is", "further differences are")
        )
    });
    let note = "“by chance”: the difference follows from a full queue or a missing answer in one of the runs, or occurs in both directions. cctf trace shows the trace.";
    SheetTable {
        id: "graph",
        title: "Differences of call graph and statuses".to_owned(),
        columns: vec![
            SheetColumn::text("kind", "kind"),
            SheetColumn::text("caller", "caller"),
            SheetColumn::text("module", "callee"),
            SheetColumn::text("endpoint", "endpoint"),
            SheetColumn::text("status-a", "A"),
            SheetColumn::text("status-b", "B"),
            SheetColumn::number("count", "count"),
            SheetColumn::text("chance", "by chance"),
            SheetColumn::text("trace", "example"),
        ],
        rows: rows.collect(),
        note: Some(left_out.map_or_else(|| note.to_owned(), |left_out| format!("{left_out} {note}"))),
    }
}

/// A text that can be different in B.
fn both(a: &str, b: Option<&str>) -> String {
    match b {
        Some(b) if a != b => format!("{a} in A, {b} in B"),
        _ => a.to_owned(),
    }
}

fn configuration(differences: &[ConfigurationDifference]) -> SheetTable {
    let rows = differences.iter().map(|found| {
        vec![
            found.module.as_str().into(),
            found.what.into(),
            found.a.as_str().into(),
            found.b.as_str().into(),
        ]
    });
    SheetTable {
        id: "configuration",
        title: "Differences of the deployment".to_owned(),
        columns: vec![
            SheetColumn::text("module", "module"),
            SheetColumn::text("what", "what"),
            SheetColumn::text("a", "A"),
            SheetColumn::text("b", "B"),
        ],
        rows: rows.collect(),
        note: None,
    }
}

/// Contributions to each difference.
fn attribution(all: &[Attribution]) -> SheetTable {
    let mut parts: Vec<&'static str> = Vec::new();
    for part in all.iter().flat_map(|found| &found.parts) {
        if !parts.contains(&part.name) {
            parts.push(part.name);
        }
    }
    let mut columns = vec![
        SheetColumn::text("figure", "figure"),
        SheetColumn::number("a", "A"),
        SheetColumn::number("b", "B"),
    ];
    columns.extend(parts.iter().map(|name| SheetColumn::number(name, name)));
    columns.extend([
        SheetColumn::number("residual", "rest"),
        SheetColumn::number("error-a", "error A"),
        SheetColumn::number("error-b", "error B"),
        SheetColumn::text("answer", "answer"),
    ]);
    let ms = Unit::Ms;
    // Modules without waits are left out, because most modules have none.
    let known = all.iter().filter(|found| found.a != 0.0 || found.b != 0.0);
    let rows = known.map(|found| {
        let mut row: Vec<Cell> = vec![
            found.topic.text_of(found.module.as_deref()).into(),
            optional(Some(found.a), ms).into(),
            optional(Some(found.b), ms).into(),
        ];
        row.extend(parts.iter().map(|name| {
            let part = found.parts.iter().find(|part| part.name == *name);
            Cell::from(part.map_or_else(|| NONE.to_owned(), |part| signed(part.value, ms)))
        }));
        row.push(signed(found.residual, ms).into());
        row.extend(found.simulator_error.map(|error| Cell::from(signed(error, ms))));
        row.push(match &found.cannot_tell {
            Some(why) => Cell::signed(why.as_str(), Sign::Warning),
            None => "ok".into(),
        });
        row
    });
    SheetTable {
        id: "attribution",
        title: "Parts of the difference".to_owned(),
        columns,
        rows: rows.collect(),
        note: Some(
            "A simulator of stations exchanges these parts between A and B. Each part is averaged over all orders of exchange \
             (Shapley). The rest is what the simulator does not explain. “error”: simulated minus recorded figure of each run."
                .to_owned(),
        ),
    }
}

fn shown(figures: &[Shown]) -> SheetTable {
    let rows = figures.iter().map(|found| {
        vec![
            of_module(found.name, found.module.as_deref()).into(),
            optional(found.a, found.unit).into(),
            optional(found.b, found.unit).into(),
            optional(found.both, found.unit).into(),
        ]
    });
    SheetTable {
        id: "shown",
        title: "Figures that do not vote".to_owned(),
        columns: vec![
            SheetColumn::text("figure", "figure"),
            SheetColumn::number("a", "A"),
            SheetColumn::number("b", "B"),
            SheetColumn::number("both", "of both"),
        ],
        rows: rows.collect(),
        note: None,
    }
}
