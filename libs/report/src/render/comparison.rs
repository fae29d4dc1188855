//! [`comparison`]: compares two runs.

use analyze::stats::cells::Key;
use analyze::stats::group::By;
use page::html::{Html, element};
use page::number::{NONE, counted};
use page::summary::{Verdict, badge, notice};
use page::table::{Column, Row, Table};

use super::compared_time::over_time;
use super::figures::with_interval;
use super::names::{cut, endpoint, shown};
use super::view::View;
use crate::compare::{self, Common, Comparison, Pair, Side, compare};

/// Maximum number of modules or endpoints that are listed although only one run has them.
const ONLY_MAX: usize = 20;
/// Maximum length of a run's name in a sentence, in characters.
const RUN_MAX: usize = 40;

const NOTE: &str = "“differs” stands where the two 95% intervals do not overlap. “no difference seen” stands where they do: this does not \
                    show that the runs are the same, only that these runs show no difference. “undecided” stands where an interval \
                    is missing. Even if both runs are alike, about one interval in 20 \
                    misses its true value, so a few “differs” may be chance.";

const NO_VOTE: &str = "These comparisons do not vote: each interval is that of one run alone. The section Verdict pairs the requests of both runs, \
                       and judges each difference by its margin.";

/// Whether the runs have at least one module in common.
pub fn are_related(views: [&View; 2]) -> bool {
    let [first, second] = views.map(|view| &view.run.stats);
    !compare(first, second, By::Module).common.is_empty()
}

/// The reason why there is nothing to compare.
pub fn unrelated(views: [&View; 2]) -> String {
    let [first, second] = views.map(|view| cut(&view.run.stats.run_id, RUN_MAX));
    format!(
        "the runs {first} and {second} have no module in common, so there is nothing to compare: choose runs of the same application"
    )
}

/// The comparison. `is_judged` states whether the page also has a verdict on both runs as a whole.
pub fn comparison(views: [&View; 2], rows: usize, is_judged: bool) -> Html {
    let [first, second] = views.map(|view| &view.run.stats);
    let modules = compare(first, second, By::Module);
    if modules.common.is_empty() {
        let mut text = unrelated(views);
        text.replace_range(..1, "T");
        return notice(Verdict::Warning, text + ".");
    }
    let endpoints = compare(first, second, By::Endpoint);
    let mut html = verdicts(&modules);
    html.push(over_time(views, rows));
    html.push(element("p").class("note").child(NOTE));
    if is_judged {
        html.push(element("p").class("note").child(NO_VOTE));
    }
    let module_name = |key: &Key| views[0].names.module(key);
    html.push(
        table(
            "compared-modules-table",
            "Modules of both runs",
            &modules,
            rows,
            &module_name,
        )
        .html(),
    );
    let endpoint_name = |key: &Key| format!("{} {}", views[0].names.module(key), endpoint(key));
    html.push(
        table(
            "compared-endpoints-table",
            "Endpoints of both runs",
            &endpoints,
            rows,
            &endpoint_name,
        )
        .html(),
    );
    for (index, view) in views.into_iter().enumerate() {
        html.push(only(view, &modules.only[index], "modules", &module_name));
        html.push(only(view, &endpoints.only[index], "endpoints", &endpoint_name));
    }
    html
}

/// For each verdict, the number of figures of modules that have it.
fn verdicts(modules: &Comparison<'_>) -> Html {
    let all = || {
        modules
            .common
            .iter()
            .flat_map(|common| &common.pairs)
            .map(|pair| pair.verdict)
    };
    let verdicts = [
        compare::Verdict::Differs,
        compare::Verdict::NoDifferenceSeen,
        compare::Verdict::Undecided,
    ];
    let items = verdicts.into_iter().filter_map(|verdict| {
        let count = all().filter(|found| *found == verdict).count();
        // A verdict that no figure has is not listed, because its sign would attract attention.
        (count > 0).then(|| {
            element("li")
                .child(shown_verdict(verdict))
                .child(format!(" {count} of {} figures of modules", all().count()))
        })
    });
    element("ul").class("verdicts").children(items).build()
}

fn shown_verdict(verdict: compare::Verdict) -> Html {
    let sign = match verdict {
        compare::Verdict::Differs => Verdict::Warning,
        compare::Verdict::NoDifferenceSeen | compare::Verdict::Undecided => Verdict::Neutral,
    };
    badge(sign, verdict.text())
}

fn table(
    id: &str,
    caption: &str,
    found: &Comparison<'_>,
    rows: usize,
    name: &dyn Fn(&Key) -> String,
) -> Table {
    let columns = vec![
        Column::text("name", "Name"),
        Column::text("figure", "Figure"),
        Column::number("first", "First run"),
        Column::number("second", "Second run"),
        Column::number("change", "Change"),
        Column::text("verdict", "Verdict"),
    ];
    let mut table = Table::new(id, caption, columns);
    let pairs = || {
        let of = |common: &'_ Common<'_>| common.pairs.len();
        found.common.iter().map(of).sum::<usize>()
    };
    let all = found
        .common
        .iter()
        .flat_map(|common| common.pairs.iter().map(move |pair| (common.key, pair)));
    for (key, pair) in all.take(rows) {
        let change = pair
            .ratio()
            .map(|ratio| format!("{:+.1}%", 100.0 * (ratio - 1.0)));
        table.row(Row::new([
            shown(&name(key)),
            Html::text(pair.name),
            side(pair, &pair.sides[0]),
            side(pair, &pair.sides[1]),
            Html::text(change.as_deref().unwrap_or(NONE)),
            shown_verdict(pair.verdict),
        ]));
    }
    let more = pairs().saturating_sub(rows);
    table.more = (more > 0).then(|| {
        let figures = counted(more as u64, "more figure", "more figures");
        format!("{figures}: compare the output of cctf stats --format json of both runs.")
    });
    table
}

fn side(pair: &Pair<'_>, side: &Side<'_>) -> Html {
    with_interval(side.value, side.interval, pair.unit)
}

fn only(view: &View, keys: &[&Key], what: &str, name: &dyn Fn(&Key) -> String) -> Html {
    if keys.is_empty() {
        return Html::new();
    }
    let names = keys
        .iter()
        .take(ONLY_MAX)
        .map(|key| element("li").child(shown(&name(key))));
    let more = keys.len().saturating_sub(ONLY_MAX);
    let more = (more > 0).then(|| element("li").child(format!("{more} more")));
    let text = format!(
        "Only the run {} has these {what}:",
        cut(&view.run.stats.run_id, RUN_MAX)
    );
    let mut html = element("p").child(text).build();
    html.push(element("ul").children(names).child(more));
    html
}
