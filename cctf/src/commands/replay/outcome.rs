//! [`Outcome`]: the result of a replay: its lateness, the answers that differ, and the folder of its files.

use std::fmt::Write as _;
use std::path::PathBuf;

use cctf_load::record::summary::Summary;
use compare::margins::Margins;
use serde::Serialize;

use super::preview::ReplayPreview;
use crate::commands::cells::{counted, printable};
use crate::commands::driver::SpanCounts;

/// The output of `--format json`.
#[derive(Debug, Serialize)]
pub struct Outcome<'a> {
    /// Id of the new run.
    pub run_id: &'a str,
    pub preview: &'a ReplayPreview,
    #[serde(flatten)]
    pub summary: &'a Summary,
    /// Whether the driver was so late that a comparison is void.
    pub is_void: bool,
    /// The reason why it is void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void_because: Option<String>,
    pub interrupted: bool,
    /// `None` if the spans could not be sent.
    pub spans: Option<SpanCounts>,
    /// Folder of the new run, if it is in the same folder as the recorded run.
    pub folder: Option<PathBuf>,
    /// The command that compares both runs.
    pub next: String,
}

/// The reason why the driver's lateness makes a comparison void. The limits are the margins of `cctf compare`.
pub fn void_because(summary: &Summary) -> Option<String> {
    let margins = Margins::default();
    let late = &summary.lateness_ms;
    for (name, reached, limit) in [
        ("p99", late.p99, margins.lateness_p99_ms),
        ("maximum", late.max, margins.lateness_max_ms),
    ] {
        if reached > limit {
            return Some(format!(
                "the {name} of lateness is {reached:.3} ms, more than {limit} ms"
            ));
        }
    }
    None
}

impl Outcome<'_> {
    /// The result as text.
    pub fn text(&self, sends_spans: bool, out: Option<&PathBuf>) -> String {
        let mut text = format!("run {}\n{}", self.run_id, self.summary.table());
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "  {name:<10} {value}");
        };
        match &self.void_because {
            Some(because) => line("validity", &format!("void: {because}")),
            None => line("validity", "the driver was in time"),
        }
        if let (true, Some(spans)) = (sends_spans, &self.spans) {
            line(
                "spans",
                &format!("{} of {} delivered", spans.delivered, spans.made),
            );
        }
        if let Some(out) = out {
            line("lines", &printable(&out.to_string_lossy()));
        }
        if let Some(folder) = &self.folder {
            line("files", &printable(&folder.to_string_lossy()));
        }
        if sends_spans {
            line("next", &printable(&self.next));
        }
        text
    }

    /// A sentence about requests that were not sent, unless the replay was interrupted.
    pub fn unsent(&self) -> Option<String> {
        let unsent = self.summary.unsent;
        (unsent > 0 && !self.interrupted).then(|| {
            format!(
                "{unsent} of {} were not sent: the services accepted no connection, or none was free in time; raise --connections \
                 or --timeout, and check the services",
                counted(self.summary.requests, "request")
            )
        })
    }

    /// A sentence about the interruption, if there was one.
    pub fn interruption(&self) -> Option<String> {
        let requests = self.summary.requests;
        self.interrupted.then(|| {
            format!(
                "interrupted after {requests} of {}",
                counted(self.preview.requests, "request")
            )
        })
    }
}
