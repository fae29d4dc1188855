//! [`render`]: runs as one HTML page of at most [`BYTES_MAX`] bytes.
//!
//! - [`view`], [`names`], [`figures`]: runs, texts and figures in the form that the page shows; [`budget`]: the bytes of each
//!   part.
//! - [`summary`], [`over_time`], [`latency`], [`modules`], [`calls`], [`hosts`], [`traces`], [`checks`]: the parts of a run, in their order.
//! - [`heat`], [`collapse`]: the data of the heat map and of the call graph.
//! - [`verdict`], [`comparison`], [`compared_time`]: the comparison of two runs; [`method`]: how figures are computed;
//!   [`parts`]: all parts of one run.

mod budget;
mod calls;
mod checks;
mod collapse;
mod compared_time;
mod comparison;
mod figures;
mod heat;
mod hosts;
mod latency;
mod method;
mod modules;
mod names;
mod over_time;
mod parts;
mod summary;
mod traces;
mod verdict;
mod view;

use page::document::{Document, Section};
use page::html::{Html, element};
use page::table::{Column, Row, Table};

use crate::model::RunData;
use crate::sheet::Sheet;
use budget::{fitted, kept};
use comparison::comparison;
use names::{Names, cut};
use parts::{REDRAWN_BYTES_MIN, Rendering, run_parts};
use view::View;

/// Maximum size of a page, bytes.
pub const BYTES_MAX: usize = 500_000;
/// Maximum number of runs in a page. With more runs, too few bytes would be left for the charts of each run.
pub const RUNS_MAX: usize = 8;

/// Bytes for the table of differences between two runs.
const COMPARISON_BYTES: usize = 70_000;
/// Maximum number of rows of each table of the comparison.
const COMPARISON_ROWS: usize = 180;
/// Bytes for the verdict on two runs.
const VERDICT_BYTES: usize = 50_000;
/// Maximum number of rows of each table of the verdict.
const VERDICT_ROWS: usize = 120;
/// Maximum length of a run's name in a title, in characters.
const TITLE_MAX: usize = 60;

const STYLE: &str = include_str!("report.css");
const NUMBERS: &str = include_str!("numbers.js");
const SCRIPT: &str = include_str!("report.js");

/// A page.
#[derive(Debug)]
pub struct Rendered {
    pub html: String,
    /// Sentences that the user has to know and that are not in the page.
    pub warnings: Vec<String>,
}

/// The page of at most [`RUNS_MAX`] runs. With `against`, the second run is compared with the first one.
pub fn render(runs: &[RunData], against: bool) -> Rendered {
    page_of(runs, against, None)
}

/// The page of two compared runs. It begins with the verdict on them.
pub fn render_verdict(runs: &[RunData; 2], sheet: &Sheet) -> Rendered {
    page_of(runs, true, Some(sheet))
}

fn page_of(runs: &[RunData], against: bool, sheet: Option<&Sheet>) -> Rendered {
    let names = Names::new(runs.iter().map(|run| &run.stats));
    let views: Vec<View> = runs
        .iter()
        .take(RUNS_MAX)
        .enumerate()
        .map(|(number, run)| View::new(run, &names, number))
        .collect();
    let mut warnings = Vec::new();
    let mut before = Vec::new();
    if let Some(sheet) = sheet {
        let body = kept(VERDICT_BYTES, VERDICT_ROWS, |rows| verdict::verdict(sheet, rows));
        before.push(Section::new("verdict", "Verdict", body));
    }
    if let (true, [first, second]) = (against, views.as_slice()) {
        let both = [first, second];
        if !comparison::are_related(both) {
            warnings.push(comparison::unrelated(both));
        }
        let mut body = overview(&views);
        body.push(fitted(COMPARISON_BYTES, COMPARISON_ROWS, |rows| {
            comparison(both, rows, sheet.is_some())
        }));
        before.push(Section::new("comparison", "Comparison", body));
    } else if views.len() > 1 {
        before.push(Section::new("runs", "Runs", overview(&views)));
    }
    let after = Section::new("method", "How figures are computed", method::method());
    let command = if sheet.is_some() { "compare" } else { "report" };
    let frame = document(&views, against, command, (before, after));
    let fixed = frame.page(&vec![Rendering::default(); views.len()]).html().len();
    let mut left = BYTES_MAX.saturating_sub(fixed);
    let mut renderings = Vec::new();
    for (number, view) in views.iter().enumerate() {
        // Bytes that a run does not use remain for later runs.
        let rendering = run_parts(view, left / (views.len() - number), views.len() == 1);
        left = left.saturating_sub(rendering.bytes);
        renderings.push(rendering);
    }
    // Some of the earlier runs were cut short for lack of bytes. They are drawn again with the bytes that remain. The last run
    // already had all of these.
    let earlier = views.len().saturating_sub(1);
    for (view, rendering) in views.iter().zip(&mut renderings).take(earlier) {
        if rendering.is_whole || left < REDRAWN_BYTES_MIN {
            continue;
        }
        let bytes = rendering.bytes + left;
        *rendering = run_parts(view, bytes, false);
        left = bytes.saturating_sub(rendering.bytes);
    }
    Rendered {
        html: frame.page(&renderings).html(),
        warnings,
    }
}

/// The parts of the page that do not belong to a run.
struct Frame {
    title: String,
    subtitle: Html,
    before: Vec<Section>,
    after: Section,
    /// The subcommand that writes the page.
    command: &'static str,
    /// Id and title of each run's section. Empty for a single run, whose parts are sections themselves.
    run_sections: Vec<(String, String)>,
}

fn document(
    views: &[View],
    against: bool,
    command: &'static str,
    (before, after): (Vec<Section>, Section),
) -> Frame {
    let name = |view: &View| cut(&view.run.stats.run_id, TITLE_MAX);
    let title = match views {
        [only] => format!("Run {}", name(only)),
        [first, second] if against => format!("Run {} against {}", name(first), name(second)),
        all => format!("{} runs", all.len()),
    };
    let order = |number: usize| match (against, number) {
        (true, 0) => "First run".to_owned(),
        (true, _) => "Second run".to_owned(),
        (false, number) => format!("Run {}", number + 1),
    };
    let run_sections = match views.len() {
        1 => Vec::new(),
        _ => views
            .iter()
            .enumerate()
            .map(|(number, view)| {
                (
                    format!("run-{}", number + 1),
                    format!("{}: {}", order(number), name(view)),
                )
            })
            .collect(),
    };
    // If there are several runs, a table shows their times.
    let only = views.first().filter(|_| views.len() == 1);
    let started = only.and_then(|view| view.run.meta.as_ref());
    Frame {
        title,
        subtitle: started
            .map(|meta| Html::text(&summary::utc(meta.started_ns)))
            .into(),
        before,
        after,
        command,
        run_sections,
    }
}

impl Frame {
    fn page(&self, runs: &[Rendering]) -> Document {
        let mut sections = self.before.clone();
        match self.run_sections.as_slice() {
            [] => sections.extend(runs.iter().flat_map(|run| run.sections.iter().cloned())),
            titles => sections.extend(
                titles
                    .iter()
                    .zip(runs)
                    .map(|((id, title), run)| Section::new(id, title, run.grouped(title))),
            ),
        }
        sections.push(self.after.clone());
        let data = runs.iter().filter_map(|run| run.data.clone());
        Document {
            title: self.title.clone(),
            subtitle: self.subtitle.clone(),
            sections,
            footer: element("p")
                .child(format!(
                    "Written by cctf {}. The page needs no network; its figures are those of the run's files.",
                    self.command
                ))
                .into(),
            styles: vec![STYLE],
            scripts: vec![NUMBERS, SCRIPT],
            data: data.collect(),
            connects_to_origin: false,
        }
    }
}

/// All runs in one table, each with a link to its section.
fn overview(views: &[View]) -> Html {
    let columns = vec![
        Column::text("run", "Run"),
        Column::text("started", "Started"),
        Column::number("invocations", "Invocations"),
        Column::number("length", "Length"),
        Column::number("modules", "Modules"),
        Column::number("errors", "Errors"),
    ];
    let mut table = Table::new("runs-table", "Runs of this page", columns);
    for (number, view) in views.iter().enumerate() {
        let sums = view.sums();
        let link = element("a")
            .attr("href", format!("#run-{}", number + 1))
            .child(names::shown(&view.run.stats.run_id));
        let started = view.run.meta.as_ref().map(|meta| summary::utc(meta.started_ns));
        table.row(Row::new([
            link.build(),
            Html::text(started.as_deref().unwrap_or(page::number::NONE)),
            Html::text(&page::number::exact(sums.calls)),
            Html::text(&page::number::duration(view.run.stats.time_ns as f64)),
            Html::text(&view.modules.len().to_string()),
            Html::text(&figures::errors(sums.errors, sums.calls)),
        ]));
    }
    table.html()
}
