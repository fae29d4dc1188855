//! A run over links with a known delay and rate, in which one clock is wrong, and the effect of both on the run's files.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use serde_json::Value;
use tempfile::TempDir;

use crate::binaries::{Done, command_in};
use crate::child::{Child, wait_for};
use crate::otlp;
use crate::rows::{self, nanoseconds, number, text};
use crate::sources::root;

/// Path of the program that `make toxiproxy` builds.
pub const TOXIPROXY: &str = "target/tools/bin/toxiproxy-server";
/// The node whose clock is ahead.
pub const SKEWED: &str = "edge0";
pub const SKEW_MS: i64 = 3_000;
/// The only fields of an invocation that a wrong clock may change.
const TIMESTAMPS: [&str; 3] = ["ts_enqueue", "ts_start", "ts_end"];
/// A join window that is so long that each row finds its caller even on a busy machine. Rows with wrong and with right clocks
/// are compared.
const JOIN_WINDOW: &str = "120s";
/// Maximum size of a request. All requests of a run are much smaller.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// A link: its settings, and its row in links.json.
#[derive(Debug)]
pub struct Link {
    /// `u->v`.
    pub name: String,
    /// One-way delay in seconds: as set, and in links.json.
    pub delay_s: (f64, f64),
    /// Rate in bits per second: as set, and in links.json.
    pub rate_bps: (f64, f64),
}

/// The time by which the clock of [`SKEWED`] is ahead of another node's, according to nodes.json.
#[derive(Debug)]
pub struct Offset {
    /// The other node.
    pub than: String,
    pub offset_ms: f64,
    /// Maximum error according to nodes.json.
    pub error_ms: f64,
}

/// A finished run.
pub struct Run {
    folder: TempDir,
    bin_dir: PathBuf,
    report: Value,
}

impl Run {
    /// Drives the chain in namespaces, with bodies of 1 to 200 KB, ten requests per second, and a clock of edge0 that is 3 s
    /// ahead. Needs root.
    pub fn drive(bin_dir: &Path, duration: &str) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut command = command_in(bin_dir, "cctf")?;
        command
            .args([
                "run",
                "--chain",
                "--netns",
                "--endpoints",
                "json",
                "--run-id",
                "r",
            ])
            .args([
                "--rate",
                "10",
                "--size",
                "1000-200000",
                "--duration",
                duration,
                "--join-window",
                JOIN_WINDOW,
            ])
            .args(["--format", "json", "--logs-dir"])
            .arg(folder.path().join("skewed"))
            .arg("--toxiproxy")
            .arg(root().join(TOXIPROXY))
            .arg("--collector")
            .arg(command_in(bin_dir, "skew")?.get_program())
            .env("SKEW_NODE", SKEWED)
            .env("SKEW_MS", SKEW_MS.to_string())
            .env("SKEW_KEEP", folder.path().join("kept"));
        let done = Done::from(command.output().context("cannot start cctf run")?);
        ensure!(
            done.code == Some(0),
            "cctf run --netns ended with {:?} (it needs root and what `make test-tools` builds)\n{}\n{}",
            done.code,
            done.stdout,
            done.stderr
        );
        Ok(Self {
            report: done.json()?,
            bin_dir: bin_dir.to_owned(),
            folder,
        })
    }

    /// The links of links.json, with their settings from the report of `cctf run`.
    pub fn links(&self) -> anyhow::Result<Vec<Link>> {
        let rows = rows::document(&self.cctf("skewed").join("links.json"))?;
        let rows = rows.as_array().context("links.json has no array")?;
        let set = self.report["links"]
            .as_array()
            .context("the report has no links")?;
        set.iter()
            .map(|set| {
                let row = rows
                    .iter()
                    .find(|row| row["u"] == set["u"] && row["v"] == set["v"])
                    .with_context(|| format!("no row for {set}"))?;
                let field =
                    |of: &Value, name: &str| number(of, name).with_context(|| format!("no {name} in {of}"));
                Ok(Link {
                    name: format!(
                        "{}->{}",
                        text(set, "u").unwrap_or("?"),
                        text(set, "v").unwrap_or("?")
                    ),
                    delay_s: (field(set, "delay_ms")? / 1e3, field(row, "PR_s")?),
                    rate_bps: (field(set, "rate_bps")?, field(row, "BW_bps")?),
                })
            })
            .collect()
    }

    /// Number of rows, and a description of each row that differs from the row of the same telemetry with right clocks.
    /// Timestamps must differ by exactly the skew, and other values must be equal.
    pub fn differences(&self) -> anyhow::Result<(usize, Vec<String>)> {
        let right = self.rows_with_right_clocks()?;
        let wrong = invocations(&self.cctf("skewed"))?;
        ensure!(
            !wrong.is_empty() && right.len() == wrong.len(),
            "{} rows, {} with correct clocks",
            wrong.len(),
            right.len()
        );
        let mut differences = Vec::new();
        for (span, (line, row)) in &wrong {
            let (right_line, right_row) = right.get(span).with_context(|| format!("no row for {line}"))?;
            let without_timestamps = |row: &Value| {
                let mut row = row.clone();
                if let Some(fields) = row.as_object_mut() {
                    fields.retain(|name, _| !TIMESTAMPS.contains(&name.as_str()));
                }
                row
            };
            let mut same = without_timestamps(row) == without_timestamps(right_row);
            let skew = if text(row, "node") == Some(SKEWED) {
                i128::from(SKEW_MS) * 1_000_000
            } else {
                0
            };
            for field in TIMESTAMPS {
                same &= nanoseconds(line, field)? - nanoseconds(right_line, field)? == skew;
            }
            if !same {
                differences.push(format!("{line}\n{right_line}"));
            }
        }
        Ok((wrong.len(), differences))
    }

    /// The time by which edge0's clock is ahead of each other node's, according to the nodes.json of a merge.
    pub fn offsets(&self) -> anyhow::Result<Vec<Offset>> {
        let merged = self.folder.path().join("merged");
        let mut command = command_in(&self.bin_dir, "cctf")?;
        let output = command
            .arg("merge")
            .arg(&merged)
            .arg(self.folder.path().join("skewed/r"))
            .output()?;
        let done = Done::from(output);
        ensure!(done.code == Some(0), "cctf merge: {done:?}");
        let nodes = rows::document(&merged.join("cctf/nodes.json"))?;
        let clock = |node: &str| {
            let row = nodes
                .as_array()
                .into_iter()
                .flatten()
                .find(|row| text(row, "node_id") == Some(node));
            let row = row.with_context(|| format!("no {node} in {nodes}"))?;
            number(row, "clock_offset_ms")
                .zip(number(row, "clock_error_ms"))
                .with_context(|| format!("{row} has no offset"))
        };
        let skewed = clock(SKEWED)?;
        ["driver0", "ep0", "cloud0"]
            .into_iter()
            .map(|node| {
                let other = clock(node)?;
                Ok(Offset {
                    than: node.to_owned(),
                    offset_ms: skewed.0 - other.0,
                    error_ms: skewed.1 + other.1,
                })
            })
            .collect()
    }

    /// Rows of the same spans before their timestamps were shifted.
    fn rows_with_right_clocks(&self) -> anyhow::Result<BTreeMap<String, (String, Value)>> {
        let logs = self.folder.path().join("right");
        let normalizer = Child::normalizer(
            &self.bin_dir,
            &logs,
            &["--run-id", "other", "--join-window", JOIN_WINDOW],
        )?;
        let url = normalizer.url("grpc")?;
        let kept = fs::read(self.folder.path().join("kept"))?;
        let mut rest = kept.as_slice();
        while let Some((len, after)) = rest.split_first_chunk::<8>() {
            let len = u64::from_le_bytes(*len);
            ensure!(len <= REQUEST_BYTES_MAX, "recorded request of {len} bytes");
            let (request, after) = after
                .split_at_checked(len as usize)
                .context("incomplete recorded request")?;
            wait_for("an accepted request", || {
                match otlp::export(&url, request.to_vec())? {
                    Err(status) if status.code() == tonic::Code::Unavailable => Ok(None),
                    answer => Ok(Some(answer?)),
                }
            })?;
            rest = after;
        }
        normalizer.stop()?;
        invocations(&self.cctf("right"))
    }

    fn cctf(&self, logs: &str) -> PathBuf {
        self.folder.path().join(logs).join("r/cctf")
    }
}

/// The rows of invocations.jsonl by span, as text and parsed.
fn invocations(cctf: &Path) -> anyhow::Result<BTreeMap<String, (String, Value)>> {
    let path = cctf.join("invocations.jsonl");
    let all = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    all.lines()
        .map(|line| {
            let row: Value = serde_json::from_str(line)?;
            let span = text(&row, "span_id").context("a row without a span")?.to_owned();
            Ok((span, (line.to_owned(), row)))
        })
        .collect()
}
