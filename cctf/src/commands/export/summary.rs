//! [`text`]: the printed summary of an export: its contents and its assumptions.

use std::fmt::Write as _;

use export::{Assumption, Counts, Summary};

use crate::commands::cells::{counted, printable};

/// Maximum number of files in the list.
const FILES_SHOWN_MAX: usize = 8;

/// Counts, assumptions, files and the next command.
pub fn text(summary: &Summary) -> String {
    let mut out = contents(
        summary.target,
        &summary.run_id,
        &summary.counts,
        &summary.assumptions,
    );
    for file in summary.files.iter().take(FILES_SHOWN_MAX) {
        push_line("file", &format!("{}, {} bytes", file.name, file.bytes), &mut out);
    }
    if let Some(more @ 1..) = summary.files.len().checked_sub(FILES_SHOWN_MAX) {
        push_line("", &format!("and {}", counted(more, "further file")), &mut out);
    }
    let path = std::path::absolute(&summary.out).unwrap_or_else(|_| summary.out.clone());
    let bytes: u64 = summary.files.iter().map(|file| file.bytes).sum();
    let files = counted(summary.files.len(), "file");
    let megabytes = bytes as f64 / 1e6;
    let _ = writeln!(
        out,
        "{}: {files}, {megabytes:.1} MB",
        printable(&path.to_string_lossy())
    );
    let _ = writeln!(out, "{}", printable(&summary.next));
    out
}

fn push_line(name: &str, value: &str, out: &mut String) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "  {name:<11} {}", printable(value));
}

/// Counts and assumptions.
pub fn contents(target: &str, run_id: &str, counts: &Counts, assumptions: &[Assumption]) -> String {
    let mut out = format!("{target} of {}\n", printable(run_id));
    let mut line = |name: &str, value: &str| push_line(name, value, &mut out);
    line("roots", &counts.roots.to_string());
    line("invocations", &counts.invocations.to_string());
    let messages = match counts.messages {
        0 => String::new(),
        messages => format!(" ({})", counted(messages, "message")),
    };
    line("calls", &format!("{}{messages}", counts.calls));
    line(
        "bytes",
        &format!("{} received, {} sent", counts.bytes_in, counts.bytes_out),
    );
    for assumption in assumptions {
        let name = if assumption.matters { "warning" } else { "note" };
        line(name, &assumption.sentence);
    }
    out
}
