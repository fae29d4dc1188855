//! [`summary`]: the facts of a run, and verdicts on what a reader has to know first, each with a sentence and a link.

use analyze::stats::figures::{Time, per_second};
use analyze::stats::lint::Verdict as LawVerdict;
use jiff::Timestamp;
use page::html::{Html, element};
use page::number::{NONE, Unit, counted, duration, exact, optional, share};
use page::summary::{Tile, Verdict, badge, tiles};
use page::table::{Column, Row, Table};

use super::checks::damaged_lines;
use super::names::{cut, shown};
use super::view::View;

/// Share of failed invocations from which the verdict is bad. Below it, failed invocations are a warning.
const ERRORS_BAD: f64 = 0.01;

/// Fields of `run_meta.json`.
const SIMULATED_BY: &str = "simulated_by";
const REPLAY_OF: &str = "replay_of";
const CONVERTED_FROM: &str = "converted_from";
/// Maximum length of a name in a sentence, in characters.
const NAME_MAX: usize = 60;

/// A verdict, its sentence, and the section with the details.
struct Judgement {
    verdict: Verdict,
    word: &'static str,
    sentence: String,
    section: &'static str,
}

pub fn summary(view: &View, rows: usize) -> Html {
    let mut html = verdicts(view);
    html.push(tiles(&key_figures(view)));
    let facts = facts(view, rows);
    let opened = element("details")
        .child(element("summary").child("Facts of the run"))
        .child(facts.html());
    html.push(opened);
    html
}

fn verdicts(view: &View) -> Html {
    let judgements = [state(view), validity(view), laws(view), errors(view), notes(view)];
    let mut judgements = Vec::from(judgements);
    if view.run.stats.outside > 0 {
        judgements.insert(1, clocks(view.run.stats.outside));
    }
    judgements.splice(1..1, simulation(view));
    judgements.splice(1..1, conversion(view));
    let items = judgements.into_iter().map(|judgement| {
        let link = element("a")
            .attr("href", view.link(judgement.section))
            .child(judgement.sentence);
        element("li")
            .child(badge(judgement.verdict, judgement.word))
            .child(" ")
            .child(link)
    });
    element("ul").class("verdicts").children(items).build()
}

/// A field of `run_meta.json`.
fn fact<'v>(view: &View<'v>, name: &str) -> Option<&'v String> {
    let mut facts = view.run.meta.as_ref()?.facts.iter();
    facts.find(|(fact, _)| fact == name).map(|(_, value)| value)
}

/// The judgement on a run that `cctf convert` made.
fn conversion(view: &View) -> Option<Judgement> {
    let from = cut(fact(view, CONVERTED_FROM)?, NAME_MAX);
    Some(Judgement {
        verdict: Verdict::Neutral,
        word: "converted",
        sentence: format!("Another tool recorded this run, as {from}. A note says what the format lacks."),
        section: "notes",
    })
}

/// The judgement on a run that a simulator produced.
fn simulation(view: &View) -> Option<Judgement> {
    let simulator = cut(fact(view, SIMULATED_BY)?, NAME_MAX);
    let of =
        fact(view, REPLAY_OF).map_or_else(String::new, |run| format!(" from the run {}", cut(run, NAME_MAX)));
    Some(Judgement {
        verdict: Verdict::Neutral,
        word: "simulated",
        sentence: format!("{simulator} computed this run{of}. No service was measured."),
        section: "over-time",
    })
}

/// The judgement on a run with rows whose times contradict `run_meta.json`. `outside` is their number.
fn clocks(outside: u64) -> Judgement {
    let one = "invocation starts more than a minute before started_ts of run_meta.json, or ends";
    let more = "invocations start more than a minute before started_ts of run_meta.json, or end";
    Judgement {
        verdict: Verdict::Bad,
        word: "wrong clock",
        sentence: format!(
            "{} more than a minute after its ended_ts. A clock is wrong, and so can be the length of the run, its rates and its \
             utilisation.",
            counted(outside, one, more)
        ),
        section: "over-time",
    }
}

fn state(view: &View) -> Judgement {
    let stats = &view.run.stats;
    let (verdict, word, sentence) = match (stats.rows, stats.is_open) {
        (0, _) => (
            Verdict::Warning,
            "empty",
            "The run has no invocation, so there are no figures.".to_owned(),
        ),
        (_, true) => (
            Verdict::Warning,
            "in progress",
            "The run has not ended: the page shows the rows written so far.".to_owned(),
        ),
        (rows, false) => (
            Verdict::Good,
            "ended",
            format!(
                "The run has {} in {}.",
                counted(rows, "invocation", "invocations"),
                duration(stats.time_ns as f64)
            ),
        ),
    };
    Judgement {
        verdict,
        word,
        sentence,
        section: "over-time",
    }
}

fn validity(view: &View) -> Judgement {
    let found = &view.run.validation;
    let damaged = view.run.stats.damages.count;
    let (verdict, word, sentence) = match (found.errors, found.warnings, damaged) {
        (0, 0, 0) if found.unchecked.is_some() => (
            Verdict::Warning,
            "not checked",
            "The files were not checked as a whole.".to_owned(),
        ),
        (0, 0, 0) => (
            Verdict::Good,
            "valid",
            "The files break no rule of CCTF.".to_owned(),
        ),
        (0, warnings, 0) => (
            Verdict::Warning,
            "valid",
            format!(
                "The files break no rule of CCTF: {}.",
                counted(warnings, "warning", "warnings")
            ),
        ),
        (0, _, damaged) => (
            Verdict::Bad,
            "damaged",
            format!("{} left out of the figures.", damaged_lines(damaged)),
        ),
        (errors, _, 0) => (
            Verdict::Bad,
            "invalid",
            format!(
                "The files break rules of CCTF: {}.",
                counted(errors, "error", "errors")
            ),
        ),
        (errors, _, damaged) => (
            Verdict::Bad,
            "invalid",
            format!(
                "The files break rules of CCTF: {}. {} left out of the figures.",
                counted(errors, "error", "errors"),
                damaged_lines(damaged)
            ),
        ),
    };
    Judgement {
        verdict,
        word,
        sentence,
        section: "validation",
    }
}

fn laws(view: &View) -> Judgement {
    let checks = &view.run.stats.checks;
    let count = |verdict: LawVerdict| checks.iter().filter(|check| check.verdict == verdict).count();
    let (agree, disagree) = (count(LawVerdict::Agrees), count(LawVerdict::Disagrees));
    let (verdict, word, sentence) = match (checks.len(), disagree) {
        (0, _) => (
            Verdict::Neutral,
            "no law checked",
            "No operational law could be checked: the run has too few samples and calls.".to_owned(),
        ),
        (_, 0) if agree == 0 => (
            Verdict::Neutral,
            "laws undecided",
            "The run has too few samples and calls to decide on any operational law.".to_owned(),
        ),
        (1, 0) if agree == 1 => (
            Verdict::Good,
            "law agrees",
            "The only check of an operational law agrees.".to_owned(),
        ),
        (all, 0) if agree == all => (
            Verdict::Good,
            "laws agree",
            format!("All {all} checks of operational laws agree: the figures do not contradict each other."),
        ),
        (all, 0) => (
            Verdict::Neutral,
            "no law broken",
            format!(
                "{agree} of {all} checks of operational laws agree, and {}.",
                counted((all - agree) as u64, "is undecided", "are undecided")
            ),
        ),
        (all, disagree) => (
            Verdict::Bad,
            "laws disagree",
            format!(
                "{disagree} of {all} checks of operational laws disagree: the run is not fit for a simulation as it is."
            ),
        ),
    };
    Judgement {
        verdict,
        word,
        sentence,
        section: "lint",
    }
}

fn errors(view: &View) -> Judgement {
    let sums = view.sums();
    let failed = sums.errors as f64 / (sums.calls as f64).max(1.0);
    let (verdict, word, sentence) = match sums.errors {
        0 => (Verdict::Good, "no errors", "No invocation failed.".to_owned()),
        errors => (
            if failed >= ERRORS_BAD {
                Verdict::Bad
            } else {
                Verdict::Warning
            },
            "errors",
            format!(
                "{} of {} failed ({}).",
                exact(errors),
                counted(sums.calls, "invocation", "invocations"),
                share(failed)
            ),
        ),
    };
    Judgement {
        verdict,
        word,
        sentence,
        section: "modules",
    }
}

fn notes(view: &View) -> Judgement {
    let count = view.run.notes.len();
    let (verdict, word, sentence) = match count {
        0 => (
            Verdict::Good,
            "complete",
            "No file, row or figure is left out.".to_owned(),
        ),
        1 => (
            Verdict::Neutral,
            "1 note",
            "One note says what is missing or left out.".to_owned(),
        ),
        count => (
            Verdict::Neutral,
            "notes",
            format!("{} notes say what is missing or left out.", exact(count as u64)),
        ),
    };
    Judgement {
        verdict,
        word,
        sentence,
        section: "notes",
    }
}

fn key_figures(view: &View) -> Vec<Tile> {
    let sums = view.sums();
    let response = sums.of(Time::Response);
    let quantile = |fraction: f64| {
        let found = response.sketch.quantile(fraction);
        optional(found.map(|ns| ns as f64), Unit::Nanoseconds)
    };
    let rate = per_second(sums.calls, view.run.stats.time_ns);
    let has_wrong_clock = view.run.stats.outside > 0;
    let or_wrong = |detail: &'static str| {
        if has_wrong_clock {
            "may be wrong, as a clock is"
        } else {
            detail
        }
    };
    let tile = |label: &str, value: String, detail: &str| Tile {
        label: label.to_owned(),
        value,
        detail: Html::text(detail),
        ..Tile::default()
    };
    vec![
        tile("Invocations", exact(sums.calls), "of all modules"),
        tile(
            "Length",
            duration(view.run.stats.time_ns as f64),
            or_wrong("first start to last end"),
        ),
        tile(
            "Rate",
            optional(rate, Unit::PerSecond),
            or_wrong("invocations, all modules together"),
        ),
        tile("Modules", exact(view.modules.len() as u64), "with invocations"),
        tile("Response p50", quantile(0.5), "all modules together"),
        tile("Response p95", quantile(0.95), "all modules together"),
        tile("Response p99", quantile(0.99), "all modules together"),
        tile("Errors", exact(sums.errors), "failed invocations"),
    ]
}

fn facts(view: &View, rows: usize) -> Table {
    let columns = vec![Column::text("fact", "Fact"), Column::text("value", "Value")];
    let mut table = Table::new(&view.id("facts-table"), "Facts of the run", columns);
    let stats = &view.run.stats;
    table.row(Row::new([Html::text("run_id"), shown(&stats.run_id)]));
    let parts = stats.parts.len();
    if parts > 1 {
        table.row(Row::new(["parts".to_owned(), parts.to_string()]));
    }
    if let Some(meta) = &view.run.meta {
        let ended = meta.ended_ns.map_or_else(|| "not ended".to_owned(), utc);
        table.row(Row::new(["started".to_owned(), utc(meta.started_ns)]));
        table.row(Row::new(["ended".to_owned(), ended]));
        for (name, value) in meta.facts.iter().take(rows) {
            table.row(Row::new([shown(name), shown(value)]));
        }
        let more = meta.facts.len().saturating_sub(rows);
        table.left_out(more, ["is", "are"], "in run_meta.json.");
    } else {
        table.more = Some("run_meta.json is missing or invalid.".to_owned());
    }
    table
}

/// A timestamp as `2026-11-23 10:45:00 UTC`. A dash if the calendar cannot express it.
pub fn utc(ns: i64) -> String {
    match Timestamp::from_nanosecond(ns.into()) {
        Ok(time) => time.strftime("%F %T UTC").to_string(),
        Err(_) => NONE.to_owned(),
    }
}
