//! A trace as an indented tree with columns of times. It fits into the width of a terminal.

use std::collections::BTreeSet;

use analyze::trace::{Node, Placement, Root, Trace};
use cctf_proto::cctf::{Flag, Milliseconds};
use unicode_width::UnicodeWidthStr;

use crate::commands::cells::{UNKNOWN, counted, cut, printable, utc_time};

/// Maximum number of levels that are indented. Deeper rows show the number of their level instead.
const INDENTED_MAX: usize = 24;
/// Minimum width of the tree. On a narrower terminal, columns are left out.
const TREE_WIDTH_MIN: usize = 36;
/// Maximum width of the tree if the line width is not limited.
const TREE_WIDTH_MAX: usize = 120;
/// Maximum width of the notes on a terminal.
const NOTES_WIDTH_MAX: usize = 28;

const TITLES: [&str; 8] = [
    "start", "took", "queue", "service", "cpu", "network", "own", "status",
];
/// The columns that are left out on a narrow terminal, in this order.
const DROPPED_FIRST: [usize; 5] = [5, 4, 3, 2, 7];

const BOLD: &str = "\u{1b}[1m";
const RED: &str = "\u{1b}[31m";
const YELLOW: &str = "\u{1b}[33m";
const PLAIN: &str = "\u{1b}[0m";

/// Colour and width of the text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    pub has_colour: bool,
    /// Maximum width of a line; `None` for no limit.
    pub width: Option<usize>,
}

/// A row's texts.
struct Line {
    label: String,
    cells: [String; TITLES.len()],
    notes: String,
    is_critical: bool,
    is_error: bool,
    has_warning: bool,
}

pub fn text(trace: &Trace, run: &str, style: Style) -> String {
    let lines: Vec<Line> = trace.nodes.iter().map(line).collect();
    let layout = Layout::new(&lines, style);
    let mut out = summary(trace, run);
    layout.push_titles(&mut out);
    for line in &lines {
        layout.push_line(line, &mut out);
    }
    if !layout.dropped.is_empty() {
        out += &cut(
            &format!("left out at this width: {}", layout.dropped.join(", ")),
            style.width.unwrap_or(TREE_WIDTH_MAX),
        );
        out.push('\n');
    }
    out
}

fn summary(trace: &Trace, run: &str) -> String {
    let spans = || trace.nodes.iter().map(|node| &node.span);
    let calls = spans().filter(|span| span.is_call()).count();
    let nodes: BTreeSet<&str> = spans().map(|span| span.node.as_str()).collect();
    let mut out = format!("trace {} of run {}\n", trace.trace_id, printable(run));
    if let Some(root) = trace.nodes.first() {
        let start = utc_time(Milliseconds::from_ns(root.span.start), true);
        out += &format!(
            "started {} UTC, took {} ms\n",
            start.unwrap_or_else(|| UNKNOWN.to_owned()),
            ms(trace.duration())
        );
    }
    out += &[
        counted(spans().count() - calls, "invocation"),
        counted(calls, "call"),
        counted(nodes.len(), "node"),
        counted(spans().filter(|span| span.is_error()).count(), "error"),
        counted(
            trace.nodes.iter().filter(|node| node.root.is_some()).count(),
            "root",
        ),
    ]
    .join(", ");
    out + "\n\n"
}

fn ms(ns: i64) -> String {
    format!("{:.3}", ns as f64 / 1e6)
}

fn line(node: &Node) -> Line {
    let span = &node.span;
    let known = |ns: Option<i64>| ns.map_or_else(|| UNKNOWN.to_owned(), ms);
    let estimate = if node.placement == Placement::Clock {
        ""
    } else {
        "~"
    };
    let notes = notes(node);
    Line {
        label: label(node),
        cells: [
            format!("{estimate}{}", ms(node.start)),
            ms(span.duration()),
            known(span.queue),
            known(span.service),
            known(span.cpu),
            known(span.net),
            ms(node.own),
            span.status
                .map_or_else(|| UNKNOWN.to_owned(), |status| status.to_string()),
        ],
        is_critical: node.critical.is_some(),
        is_error: span.is_error(),
        has_warning: !notes.is_empty(),
        notes,
    }
}

/// The text of a row in the tree: indentation and request.
fn label(node: &Node) -> String {
    let span = &node.span;
    let mut parts = Vec::new();
    if span.is_call() {
        parts.push("->".to_owned());
    }
    // The parent of a call is the invocation that made it, so module and node are already shown there.
    if !span.is_call() || node.parent.is_none() {
        parts.push(format!("{}@{}", span.module_id, span.node));
    }
    let request = [&span.method, &span.path, &span.name];
    parts.extend(request.into_iter().flatten().cloned());
    if span.is_call() && node.children == 0 {
        let peer = match (&span.peer, &span.peer_module) {
            (Some(peer), Some(module)) if !peer.starts_with(module.as_str()) => format!("{peer} ({module})"),
            (Some(peer), _) => peer.clone(),
            (None, Some(module)) => module.clone(),
            (None, None) => UNKNOWN.to_owned(),
        };
        parts.push(format!("to {peer}"));
    }
    let indent = match node.depth {
        depth if depth <= INDENTED_MAX => "  ".repeat(depth),
        depth => format!("{}({depth}) ", "  ".repeat(INDENTED_MAX)),
    };
    indent + &printable(&parts.join(" "))
}

/// Errors come first, then other notes.
fn notes(node: &Node) -> String {
    let span = &node.span;
    let mut notes = Vec::new();
    match &span.error_type {
        Some(class) => notes.push(format!("error {class}")),
        None if span.is_error() => notes.push("error".to_owned()),
        None => {}
    }
    match node.root {
        Some(Root::AncestorMissing) => notes.push("row above is missing".to_owned()),
        Some(Root::Cycle) => notes.push("below itself".to_owned()),
        Some(Root::Root | Root::Orphan) | None => {}
    }
    let flags = Flag::ALL.iter().filter(|&&flag| span.flags.has(flag));
    notes.extend(flags.map(|flag| flag.as_str().to_owned()));
    if let Some(count) = span.resend_count.filter(|&count| count > 0) {
        notes.push(format!("resent {count}"));
    }
    printable(&notes.join(", "))
}

/// Widths of the columns.
struct Layout {
    style: Style,
    tree: usize,
    /// Index and width of each column that is shown.
    columns: Vec<(usize, usize)>,
    notes: usize,
    dropped: Vec<&'static str>,
}

impl Layout {
    fn new(lines: &[Line], style: Style) -> Self {
        let widest = |text: &dyn Fn(&Line) -> usize| lines.iter().map(text).max().unwrap_or(0);
        let tree = widest(&|line| line.label.width()).clamp("trace".len(), TREE_WIDTH_MAX);
        let mut layout = Self {
            style,
            tree,
            columns: (0..TITLES.len())
                .map(|column| {
                    (
                        column,
                        widest(&|line| line.cells[column].width()).max(TITLES[column].width()),
                    )
                })
                .collect(),
            notes: widest(&|line| line.notes.width()),
            dropped: Vec::new(),
        };
        let Some(width) = style.width else {
            return layout;
        };
        layout.notes = layout.notes.min(NOTES_WIDTH_MAX);
        for column in DROPPED_FIRST {
            if layout.width_beside_tree() + tree.min(TREE_WIDTH_MIN) <= width {
                break;
            }
            layout.columns.retain(|(shown, _)| *shown != column);
            layout.dropped.push(TITLES[column]);
        }
        layout.tree = tree.min(
            width
                .saturating_sub(layout.width_beside_tree())
                .max("trace".len()),
        );
        layout
    }

    /// Width of everything except the tree: the mark, the columns and the notes, with the spaces before them.
    fn width_beside_tree(&self) -> usize {
        let columns: usize = self.columns.iter().map(|(_, width)| width + 2).sum();
        let notes = if self.notes == 0 { 0 } else { self.notes + 2 };
        2 + columns + notes
    }

    fn push_titles(&self, out: &mut String) {
        let mut titles = format!("  {:<width$}", "trace", width = self.tree);
        for (column, width) in &self.columns {
            titles += &format!("  {:>width$}", TITLES[*column]);
        }
        if self.notes > 0 {
            titles += "  notes";
        }
        *out += &self.fitted(titles.trim_end());
        out.push('\n');
    }

    fn push_line(&self, line: &Line, out: &mut String) {
        let label = cut(&line.label, self.tree);
        let gap = " ".repeat(self.tree.saturating_sub(label.width()));
        let mark = if line.is_critical { "* " } else { "  " };
        let mut text = format!("{mark}{label}{gap}");
        for (column, width) in &self.columns {
            text += &format!("  {:>width$}", line.cells[*column]);
        }
        let notes = match self.style.width {
            Some(_) => cut(&line.notes, self.notes),
            None => line.notes.clone(),
        };
        if !notes.is_empty() {
            text += &format!("  {notes}");
        }
        let text = self.fitted(text.trim_end());
        let colours = [
            (line.is_critical, BOLD),
            (line.is_error, RED),
            (line.has_warning && !line.is_error, YELLOW),
        ];
        let colours = colours
            .iter()
            .filter(|(is_so, _)| *is_so && self.style.has_colour);
        let start: String = colours.map(|(_, code)| *code).collect();
        let end = if start.is_empty() { "" } else { PLAIN };
        *out += &format!("{start}{text}{end}\n");
    }

    fn fitted(&self, text: &str) -> String {
        match self.style.width {
            Some(width) => cut(text, width),
            None => text.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use analyze::trace::Span;
    use cctf_proto::cctf::{Call, Invocation, TraceId};

    const ID: &str = "5b8efff7980381030000000000000001";

    /// An invocation that makes `calls` calls. The last call failed.
    fn trace(calls: u64) -> Trace {
        let invocation = format!(
            r#"{{"trace_id":"{ID}","span_id":"0000000000000001","parent_id":null,"parent_span_id":null,"module_id":"front","instance_id":"i",
            "ts_enqueue":0.000000,"ts_start":1.000000,"ts_end":100.000000,"node":"edge0","stage":"edge","method":"GET",
            "path":"/a/path/of/some/length","bytes_in":null,"bytes_out":null,"cpu_time_ms":2.500000,"queue_time_ms":1.000000,
            "service_time_ms":99.000000,"rt_ms":100.000000,"status":200,"downstream_ms":null,"kind":"server"}}"#
        );
        let mut spans: Vec<Span> = vec![
            serde_json::from_str::<Invocation<'_>>(&invocation)
                .unwrap()
                .into(),
        ];
        for number in 0..calls {
            let is_last = number + 1 == calls;
            let failure = if is_last {
                r#","error_type":"timeout","flags":["late"]"#
            } else {
                ""
            };
            let call = format!(
                r#"{{"trace_id":"{ID}","span_id":"{:016x}","parent_span_id":"0000000000000001","ancestor_id":"0000000000000001",
                "module_id":"front","instance_id":"i","node":"edge0","stage":"edge","ts_start":{number}.000000,"ts_end":90.000000,"method":"GET",
                "path":"/b","bytes_out":null,"bytes_in":null,"status":null,"kind":"client","peer":"db:5432"{failure}}}"#,
                number + 2
            );
            spans.push(serde_json::from_str::<Call<'_>>(&call).unwrap().into());
        }
        Trace::new(TraceId::parse(ID).unwrap(), spans)
    }

    fn lines(trace: &Trace, width: Option<usize>, has_colour: bool) -> Vec<String> {
        let text = text(trace, "r", Style { has_colour, width });
        text.lines().skip(4).map(str::to_owned).collect()
    }

    #[test]
    fn a_narrow_terminal_loses_columns_and_no_line_is_wider() {
        let trace = trace(2);
        for width in 1..160 {
            for line in lines(&trace, Some(width), false) {
                assert!(line.width() <= width, "{width}: {line}");
            }
        }
        assert_eq!(
            lines(&trace, Some(80), false),
            [
                "  trace                              start     took     own  notes",
                "* front@edge0 GET /a/path/of/some/…  0.000  100.000  10.000",
                "*   -> GET /b to db:5432             0.000   90.000  90.000",
                "    -> GET /b to db:5432             1.000   89.000  89.000  error timeout, late",
                "left out at this width: network, cpu, service, queue, status",
            ]
        );
    }

    #[test]
    fn colours_mark_the_path_errors_and_warnings() {
        let found = lines(&trace(2), None, true);
        assert!(
            found[1].starts_with("\u{1b}[1m* front") && found[1].ends_with("\u{1b}[0m"),
            "{found:?}"
        );
        assert!(found[3].starts_with("\u{1b}[31m    -> GET"), "{found:?}");
        let plain = lines(&trace(2), None, false);
        assert!(!plain.concat().contains('\u{1b}'), "{plain:?}");
    }
}
