//! [`validation`], [`lint`] and [`notes`]: facts that a reader has to know before he trusts the figures.

use analyze::stats::lint::{Check, Verdict as LawVerdict};
use cctf_proto::validate::Severity;
use page::html::{Element, Html, element};
use page::number::{counted, exact};
use page::summary::{Verdict, badge, notice};
use page::table::{Column, Row, Table};

use super::names::{cut, sentence, shown};
use super::view::View;

/// Maximum length of a finding or note, in characters.
const SENTENCE_MAX: usize = 400;

pub fn validation(view: &View, rows: usize) -> Html {
    let found = &view.run.validation;
    let mut html = Html::new();
    if let Some(why) = &found.unchecked {
        html.push(notice(Verdict::Warning, cut(why, SENTENCE_MAX)));
    }
    let damages = &view.run.stats.damages;
    if damages.count > 0 {
        let text = format!("{} left out of the figures.", damaged_lines(damages.count));
        html.push(notice(Verdict::Bad, text));
    }
    if found.errors == 0 && found.warnings == 0 {
        if found.unchecked.is_none() {
            html.push(notice(Verdict::Good, "The files break no rule of CCTF."));
        }
        return html;
    }
    let columns = vec![
        Column::text("severity", "Severity"),
        Column::text("rule", "Rule"),
        Column::text("file", "File"),
        Column::number("line", "Line"),
        Column::text("message", "Finding"),
    ];
    let mut table = Table::new(&view.id("validation-table"), "Broken rules", columns);
    for finding in found.findings.iter().take(rows) {
        let severity = match finding.severity {
            Severity::Error => badge(Verdict::Bad, "error"),
            Severity::Warning => badge(Verdict::Warning, "warning"),
        };
        table.row(Row::new([
            severity,
            Html::text(finding.rule.id),
            Html::text(finding.file.name()),
            Html::text(&finding.line.map_or_else(String::new, exact)),
            sentence(&finding.message, SENTENCE_MAX),
        ]));
    }
    let all = found.errors + found.warnings;
    let shown = found.findings.len().min(rows) as u64;
    let more = all.saturating_sub(shown) as usize;
    table.left_out(more, ["finding is", "findings are"], "in cctf validate.");
    html.push(table.html());
    html
}

/// The number of damaged lines, as the beginning of a sentence.
pub fn damaged_lines(count: u64) -> String {
    counted(count, "damaged line is", "damaged lines are")
}

pub fn lint(view: &View, rows: usize) -> Html {
    let mut checks: Vec<&Check> = view.run.stats.checks.iter().collect();
    if checks.is_empty() {
        return notice(Verdict::Neutral, "No law could be checked.");
    }
    let order = |verdict: LawVerdict| match verdict {
        LawVerdict::Disagrees => 0,
        LawVerdict::Undecided => 1,
        LawVerdict::Agrees => 2,
    };
    checks.sort_by_key(|check| order(check.verdict));
    let columns = vec![
        Column::text("law", "Law"),
        Column::text("of", "Applied to"),
        Column::text("verdict", "Verdict"),
        Column::text("figures", "Both figures"),
    ];
    let mut table = Table::new(&view.id("lint-table"), "Operational laws", columns);
    for check in checks.iter().take(rows) {
        let verdict = match check.verdict {
            LawVerdict::Agrees => Verdict::Good,
            LawVerdict::Disagrees => Verdict::Bad,
            LawVerdict::Undecided => Verdict::Neutral,
        };
        table.row(Row::new([
            Html::text(check.law.name()),
            shown(&check.of),
            badge(verdict, check.verdict.name()),
            sentence(&check.figures, SENTENCE_MAX),
        ]));
    }
    table.left_out(
        checks.len().saturating_sub(rows),
        ["is", "are"],
        "in cctf stats --lint.",
    );
    let note = "Each law compares figures that were recorded independently of each other. A broken law shows lost rows, wrong clocks \
                or contradictory samples: such a run is not fit for a simulation. The laws cpu and host_cpu are upper bounds: a \
                process may use more CPU time than its invocations, and a host more than its processes.";
    let mut html = element("p").class("note").child(note).build();
    html.push(table.html());
    html
}

pub fn notes(view: &View, rows: usize) -> Html {
    let notes = &view.run.notes;
    if notes.is_empty() {
        return notice(Verdict::Good, "Nothing is missing or left out.");
    }
    let list = element("ul").attr("id", view.id("notes-list"));
    notes_in(list, notes, rows, SENTENCE_MAX)
}

/// Adds at most `rows` notes to a list, each with at most `chars_max` characters.
pub fn notes_in(list: Element, notes: &[String], rows: usize, chars_max: usize) -> Html {
    let shown = notes.len().min(rows);
    let items = notes[..shown]
        .iter()
        .map(|note| element("li").child(sentence(note, chars_max)));
    let more = notes.len() - shown;
    let more = (more > 0).then(|| {
        let notes = counted(more as u64, "more note is", "more notes are");
        element("li").child(format!("{notes} left out."))
    });
    list.children(items).child(more).build()
}
