//! What `cctf run` says at the end: figures, files, what to do next, and what was wrong.

use std::path::PathBuf;

use serde::Serialize;

use super::display::loss_sentence;
use crate::load::export::Delivery;
use crate::load::summary::Summary;
use crate::run::folder::{Content, EVENTS_CLIENT};

/// What `--format json` prints.
#[derive(Serialize)]
pub(super) struct Report {
    pub run_id: String,
    pub run_dir: PathBuf,
    pub drives: Vec<Summary>,
    pub spans_made: u64,
    pub spans_delivered: u64,
    pub files: Vec<Content>,
    pub broken_rules: u64,
    pub interrupted: bool,
}

impl Report {
    pub fn text(&self) -> String {
        let mut out = format!("run {}\n\n", self.run_id);
        out += "endpoint  requests   rate/s  success  late p99 ms  p50 ms   p99 ms   max ms\n";
        for drive in &self.drives {
            out += &format!(
                "{:<9} {:>8} {:>8.2} {:>7.2}% {:>12.3} {:>7.3} {:>8.3} {:>8.3}\n",
                drive.endpoint,
                drive.requests,
                drive.rate_reached,
                drive.success_ratio * 100.0,
                drive.lateness_ms.p99,
                drive.latency_ms.p50,
                drive.latency_ms.p99,
                drive.latency_ms.max,
            );
            for (error, count) in &drive.errors {
                out += &format!("          {error}: {count}\n");
            }
        }
        out += &format!("\nfiles in {}\n", self.run_dir.display());
        for content in &self.files {
            out += &format!(
                "  {:<30} {:>8} rows {:>10} bytes\n",
                content.file, content.rows, content.bytes
            );
        }
        out
    }

    pub fn next_steps(&self) -> String {
        let run_dir = self.run_dir.display();
        format!(
            "\nnext\n  tail -n 1 {run_dir}/cctf/invocations.jsonl | jq\n  vegeta report < {run_dir}/{EVENTS_CLIENT}\n  \
             cctf validate {run_dir}\n"
        )
    }

    /// What keeps this run from being a success, one sentence each.
    pub fn complaints(&self, delivery: &Delivery) -> Vec<String> {
        let mut complaints = Vec::new();
        complaints.extend(loss_sentence(delivery));
        for drive in self.drives.iter().filter(|drive| drive.success_ratio == 0.0) {
            complaints.push(format!(
                "no request to {} succeeded: look at its errors above, then at the service with --endpoints {}",
                drive.url, drive.endpoint
            ));
        }
        if self.broken_rules > 0 {
            complaints.push(format!(
                "{} broken rules: see cctf validate {}",
                self.broken_rules,
                self.run_dir.display()
            ));
        }
        if self.interrupted {
            complaints.push("interrupted: the run holds what was sent until then".to_owned());
        }
        complaints
    }
}
