//! The status page: the most important counters in one table that refreshes itself.

use std::fmt::{Display, Write as _};
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Instant;

use super::Sources;
use super::metrics::SIGNALS;
use crate::journal::Signal;

const HEAD: &str = r#"<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="refresh" content="2">
<meta name="viewport" content="width=device-width">
<title>CCTF normalizer</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2em; color: #222; background: #fff }
table { border-collapse: collapse }
td { padding: .15em 1em .15em 0 }
td + td { text-align: right; font-variant-numeric: tabular-nums }
</style>
</head>
<body>
<h1>CCTF normalizer</h1>
"#;

/// Number of spans at one time, from which the next page computes a rate.
#[derive(Default)]
pub(super) struct Sample {
    taken: Option<Instant>,
    spans: u64,
}

pub(super) fn render(sources: &Sources) -> String {
    let mut page = String::from(HEAD);
    let state = sources.refusal_reason().map_or("ready", str::trim_end);
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "<p>{state}, up for {} s</p>\n<table>",
        sources.started.elapsed().as_secs()
    );
    row(
        &mut page,
        "spans per second",
        format!("{:.1}", spans_per_second(sources)),
    );
    for (signal, name) in SIGNALS {
        let counters = sources.counters.signal(signal);
        row(
            &mut page,
            &format!("{name}: requests"),
            counters.requests.load(Ordering::Relaxed),
        );
        row(
            &mut page,
            &format!("{name}: rows"),
            counters.rows.load(Ordering::Relaxed),
        );
        for (reason, count) in counters.rejected().filter(|(_, count)| *count > 0) {
            row(
                &mut page,
                &format!("{name}: rejected, {}", reason.as_str()),
                count,
            );
        }
    }
    for (reason, count) in sources.counters.refused() {
        row(&mut page, &format!("requests refused, {reason}"), count);
    }
    let counters = sources.progress.counters();
    row(&mut page, "runs open", counters.runs_open);
    row(&mut page, "rows waiting for their caller", counters.rows_held);
    row(&mut page, "duplicates", counters.duplicates);
    row(
        &mut page,
        "bytes in the queue",
        sources.journal.queue_usage().bytes,
    );
    row(&mut page, "bytes written", sources.progress.bytes_written());
    page.push_str("</table>\n<p><a href=\"/metrics\">metrics</a></p>\n</body>\n</html>\n");
    page
}

fn row(page: &mut String, name: &str, value: impl Display) {
    let _ = writeln!(page, "<tr><td>{name}</td><td>{value}</td></tr>");
}

/// Rate since the last page, or since the start for the first page.
fn spans_per_second(sources: &Sources) -> f64 {
    let now = Instant::now();
    let spans = sources
        .counters
        .signal(Signal::Traces)
        .rows
        .load(Ordering::Relaxed);
    let mut last = sources.last_page.lock().unwrap_or_else(PoisonError::into_inner);
    let elapsed = now
        .duration_since(last.taken.unwrap_or(sources.started))
        .as_secs_f64();
    let new = spans - last.spans;
    *last = Sample {
        taken: Some(now),
        spans,
    };
    if elapsed > 0.0 { new as f64 / elapsed } else { 0.0 }
}
