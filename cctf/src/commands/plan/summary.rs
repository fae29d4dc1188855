//! [`Summary`]: the counts of a plan and the result of its self-check, as text and as JSON.

use std::fmt::Write as _;
use std::path::Path;

use plan::plan::write::{StationFit, header_line};
use plan::plan::{Counts, Plan, Reason};
use serde_json::json;

use crate::commands::cells::{counted, cut, printable, table};

const NAME_WIDTH_MAX: usize = 40;

/// The counts of a plan and its self-check.
pub struct Summary<'a> {
    run_id: &'a str,
    counts: &'a Counts,
    fits: &'a [StationFit],
    notes: &'a [String],
    /// The first line of the plan, without its newline.
    pub header: String,
}

impl<'a> Summary<'a> {
    pub fn new(
        run_id: &'a str,
        plan: &'a Plan,
        fits: &'a [StationFit],
        notes: &'a [String],
    ) -> serde_json::Result<Self> {
        let mut line = Vec::new();
        header_line(run_id, plan, fits, notes, &mut line)?;
        Ok(Self {
            run_id,
            counts: &plan.counts,
            fits,
            notes,
            header: String::from_utf8_lossy(&line).into_owned(),
        })
    }

    /// Counts, self-check and notes.
    pub fn text(&self) -> String {
        let counts = self.counts;
        let mut out = format!("plan of {}\n", printable(self.run_id));
        let mut line = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(out, "  {name:<11} {value}");
        };
        line("roots", &counts.roots.to_string());
        line("invocations", &counts.invocations.to_string());
        let kinds = [
            (counts.leaf_calls, "without a recorded invocation"),
            (counts.messages, "messages"),
            (counts.retries, "retries"),
            (counts.late_calls, "after the answer"),
            (counts.quorums, "waits for a number of calls, whichever end first"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        let kinds = if kinds.is_empty() {
            String::new()
        } else {
            format!(" ({})", kinds.join(", "))
        };
        line("calls", &format!("{}{kinds}", counts.calls));
        line("arithmetic", &self.arithmetic());
        for (reason, listed) in counts.deviations() {
            let largest = format!("largest {:+.3} ms", listed.largest_ns as f64 / 1e6);
            let text = format!(
                "{} {}, {largest}: {}",
                listed.count,
                sentence(reason),
                listed.examples.join(", ")
            );
            line("", &printable(&text));
        }
        if self.fits.is_empty() {
            line(
                "stations",
                "no module reports queue times and slots: waits cannot be checked",
            );
        }
        for note in self.notes {
            line("note", &printable(note));
        }
        out + &self.stations()
    }

    fn arithmetic(&self) -> String {
        let (all, deviating) = (self.counts.invocations, self.counts.deviating());
        format!(
            "with recorded waits and network times put back, {} of {all} responses come out within 1 us",
            all - deviating
        )
    }

    /// The table of recorded and simulated waits; empty if there are none.
    fn stations(&self) -> String {
        if self.fits.is_empty() {
            return String::new();
        }
        let row = |fit: &StationFit| {
            let ms = |value: f64| format!("{value:.3}");
            [
                cut(&printable(&fit.module), NAME_WIDTH_MAX),
                fit.waits.to_string(),
                ms(fit.mean_ms),
                ms(fit.simulated_mean_ms),
                ms(fit.p95_ms),
                ms(fit.simulated_p95_ms),
                if fit.is_good { "good" } else { "above 10%" }.to_owned(),
            ]
        };
        let rows: Vec<_> = self.fits.iter().map(row).collect();
        let titles = [
            "STATIONS",
            "WAITS",
            "MEAN MS",
            "SIMULATED",
            "P95 MS",
            "SIMULATED",
            "FIT",
        ];
        table(titles, &rows, &[1, 2, 3, 4, 5])
    }

    /// A sentence with the path and the size of the plan.
    pub fn written(&self, out: &Path, bytes: u64) -> String {
        let path = std::path::absolute(out).unwrap_or_else(|_| out.to_owned());
        format!(
            "{}: {}, {:.1} MB\n",
            printable(&path.to_string_lossy()),
            counted(self.counts.roots + 1, "line"),
            bytes as f64 / 1e6
        )
    }

    /// The first line of the plan, with the path and the size of the file added.
    pub fn json(&self, out: &Path, bytes: u64) -> String {
        let out = json!(out.to_string_lossy());
        let header = self.header.strip_suffix('}').unwrap_or(&self.header);
        format!("{header},\"out\":{out},\"bytes\":{bytes}}}\n")
    }
}

fn sentence(reason: Reason) -> &'static str {
    match reason {
        Reason::NegativeGap => "have a call that starts before what it waits for",
        Reason::CpuAboveOwnTime => "have more CPU time than service time",
        Reason::WaitAboveOwnTime => "have longer waits for slots than own time",
        Reason::NoDuration => "have no valid duration",
        Reason::Unexplained => "deviate without a known reason",
    }
}
