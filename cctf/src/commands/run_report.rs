//! The report of `cctf run`: figures, files, next steps and problems.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use cctf_load::otlp::export::Delivery;
use cctf_load::record::summary::Summary;
use cctf_proto::cctf::File;
use cctf_stack::tiers::network::ConfiguredLink;
use cli::shell::quoted;
use rundir::EVENTS_CLIENT;
use rundir::contents::Content;
use serde::Serialize;
use serde_json::Value;

use super::cells::printable;
use super::display::loss_sentence;

/// The output of `--format json`.
#[derive(Serialize)]
pub(super) struct Report {
    pub run_id: String,
    pub run_dir: PathBuf,
    pub drives: Vec<Summary>,
    pub spans_made: u64,
    pub spans_delivered: u64,
    pub files: Vec<Content>,
    /// Only for runs with --netns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub links: Vec<LinkReport>,
    pub broken_rules: u64,
    pub interrupted: bool,
    /// Only for runs with --stand-in.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stand_ins: Vec<StandInReport>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The reason why the driver's lateness makes a comparison with the recorded run void.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub void_because: Option<String>,
    /// Folder of the recorded run whose requests were sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compare_with: Option<String>,
}

/// A stand-in as it was started.
#[derive(Debug, Serialize)]
pub(super) struct StandInReport {
    pub module: String,
    pub instance: String,
    pub node: String,
    pub stage: String,
    /// `None` means unlimited.
    pub slots: Option<u32>,
    pub slot_policy: &'static str,
}

/// The settings of a link, and its row in links.json.
#[derive(Debug, Serialize)]
pub(super) struct LinkReport {
    #[serde(flatten)]
    set: ConfiguredLink,
    found: Option<Value>,
}

impl LinkReport {
    /// Finds the rows of the configured links in the run's links.json.
    pub fn look_up(set: Vec<ConfiguredLink>, run_dir: &Path) -> anyhow::Result<Vec<Self>> {
        if set.is_empty() {
            return Ok(Vec::new());
        }
        let path = run_dir.join("cctf").join(File::Links.name());
        let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let rows: Vec<Value> = serde_json::from_slice(&text)
            .with_context(|| format!("{} is not a JSON array", path.display()))?;
        let looked_up = set.into_iter().map(|set| {
            let is_its = |row: &&Value| row["u"] == set.u.as_str() && row["v"] == set.v.as_str();
            let found = rows.iter().find(is_its).cloned();
            Self { set, found }
        });
        Ok(looked_up.collect())
    }

    fn text(&self) -> String {
        let measured = |field: &str, factor: f64, places: usize| {
            let value = self.found.as_ref().and_then(|row| row[field].as_f64());
            value.map_or_else(|| "-".to_owned(), |value| format!("{:.places$}", value * factor))
        };
        format!(
            "{:<14} {:>12} {:>10} {:>13} {:>10} {:>8}\n",
            format!("{}->{}", self.set.u, self.set.v),
            self.set.delay_ms,
            measured("PR_s", 1e3, 3),
            self.set
                .rate_bps
                .map_or_else(|| "-".to_owned(), |rate| (rate as f64 / 1e6).to_string()),
            measured("BW_bps", 1e-6, 3),
            measured("samples", 1.0, 0),
        )
    }
}

impl Report {
    pub fn text(&self) -> String {
        let mut out = format!("run {}\n\n", self.run_id);
        if self.compare_with.is_some() {
            out += &self.drives.iter().map(Summary::table).collect::<String>();
            if let Some(because) = &self.void_because {
                out += &format!("  validity   a comparison is void: {because}\n");
            }
            return out + &self.files_text();
        }
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
                out += &format!("          {}: {count}\n", printable(error));
            }
        }
        out + &self.files_text()
    }

    /// The links that were emulated, notes, and the files.
    fn files_text(&self) -> String {
        let mut out = String::new();
        if !self.links.is_empty() {
            out += "\nlink           delay set ms   found ms   set Mbit/s found Mbit/s  calls\n";
            out.extend(self.links.iter().map(LinkReport::text));
        }
        out += &format!("\nfiles in {}\n", printable(&self.run_dir.to_string_lossy()));
        for content in &self.files {
            out += &format!(
                "  {:<30} {:>8} rows {:>10} bytes\n",
                content.file, content.rows, content.bytes
            );
        }
        out
    }

    /// The folder, quoted for a shell.
    fn shell_dir(&self) -> String {
        quoted(&printable(&self.run_dir.to_string_lossy()))
    }

    pub fn next_steps(&self) -> String {
        let run_dir = self.shell_dir();
        let first = match &self.compare_with {
            Some(recorded) => format!("  cctf compare {} {run_dir}\n", quoted(&printable(recorded))),
            None => String::new(),
        };
        // A run of stand-ins is repeated from the recorded run.
        let last = match &self.compare_with {
            Some(_) => String::new(),
            None => format!("  cctf run --stand-in {run_dir}\n"),
        };
        format!(
            "\nnext\n{first}  cctf report {run_dir}\n  cctf stats {run_dir} --by endpoint --by link\n  cctf stats {run_dir} --lint\n  cctf trace {run_dir} $(tail -n 1 {run_dir}/cctf/invocations.jsonl | jq -r .trace_id)\n  \
             tail -n 1 {run_dir}/cctf/invocations.jsonl | jq\n  vegeta report < {run_dir}/{EVENTS_CLIENT}\n  \
             cctf validate {run_dir}\n{last}"
        )
    }

    /// The reasons why this run failed, one sentence each.
    pub fn problems(&self, delivery: &Delivery) -> Vec<String> {
        let mut problems = Vec::new();
        problems.extend(loss_sentence(delivery));
        let unsent: u64 = self.drives.iter().map(|drive| drive.unsent).sum();
        if unsent > 0 && self.compare_with.is_some() && !self.interrupted {
            problems.push(format!(
                "{unsent} requests were not sent: the stand-ins accepted no connection, or none was free in time; raise --connections or \
                 --timeout"
            ));
        }
        // Requests that failed in the recording are expected to fail again.
        let own_load = self.drives.iter().filter(|_| self.compare_with.is_none());
        for drive in own_load.filter(|drive| drive.success_ratio == 0.0) {
            problems.push(format!(
                        "all requests to {} failed: see the errors above, then load only this endpoint with --endpoints {}",
                drive.url, drive.endpoint
            ));
        }
        if self.broken_rules > 0 {
            problems.push(format!(
                "{} rules are broken: see cctf validate {}",
                self.broken_rules,
                self.shell_dir()
            ));
        }
        if self.interrupted {
            problems.push("interrupted: the run contains only the requests sent so far".to_owned());
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_commands_take_a_folder_with_any_name() {
        let mut report = Report {
            run_id: "r".to_owned(),
            run_dir: "my runs/it's".into(),
            drives: Vec::new(),
            spans_made: 0,
            spans_delivered: 0,
            files: Vec::new(),
            links: Vec::new(),
            broken_rules: 0,
            interrupted: false,
            stand_ins: Vec::new(),
            notes: Vec::new(),
            void_because: None,
            compare_with: Some("a b".to_owned()),
        };
        let steps = report.next_steps();
        for command in [
            r"cctf report 'my runs/it'\''s'",
            r"cctf compare 'a b' 'my runs/it'\''s'",
            r"tail -n 1 'my runs/it'\''s'/cctf/invocations.jsonl",
        ] {
            assert!(steps.contains(command), "{steps}");
        }
        assert!(!steps.contains("--stand-in"), "{steps}");
        report.compare_with = None;
        let steps = report.next_steps();
        assert!(
            steps.contains(r"cctf run --stand-in 'my runs/it'\''s'") && !steps.contains("compare"),
            "{steps}"
        );
    }
}
