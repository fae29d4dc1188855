//! Converts recorded telemetry to runs: OTLP as the Collector writes it to files, the JSON of Jaeger and Zipkin, and tables of
//! public data sets.
//!
//! ```text
//! inputs ─▶ layers (gzip, zstd, tar) ─▶ content ─▶ json_file ─▶ json ─▶ records ─▶ the normalizer's pipeline ─▶ folders
//!                                               ─▶ frames ─────────▶      │  otlp, jaeger, zipkin                  │
//!                                               ─▶ csv_file ─▶ tables     │  data_sets: azure, alibaba's metrics   │
//!                                                               │         ▼                                        ▼
//!                                                               │       tally                       finish: merge, origin ─▶ rename
//!                                                               └─▶ alibaba's call graphs ─▶ traces ───────────────┘
//! ```
//!
//! Only one record is in memory at a time. The records go through the mapping and the join of the normalizer, with the times in
//! the records as its clock. A row whose caller comes later than a join window is an orphan at first. The merge finds that
//! caller. Call graphs of Alibaba are sorted on disk, rebuilt trace by trace, and passed to the merge, because their rows are not
//! spans yet. `docs/convert.md` has the formats and the limits.

mod alibaba;
mod azure;
mod content;
mod csv_file;
mod data_sets;
mod decimal;
mod fields;
mod finish;
mod frames;
mod grouped;
mod hash;
pub mod inputs;
mod jaeger;
mod job;
mod json;
mod json_file;
mod keys;
mod layers;
mod otlp;
pub mod place;
mod protobuf;
mod rates;
mod records;
mod source;
mod spans;
mod tables;
pub mod tally;
mod tar;
mod wire;
mod zipkin;

use std::cell::Cell;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use cctf_normalizer::offline::Offline;
use cctf_normalizer::pipeline::Settings;
use cctf_proto::keys::is_valid_run_id;
use rundir::UsageError;
use rundir::output::OutFolder;
use serde::Serialize;

use finish::Writing;
use inputs::Input;
use job::Job;
use records::Records;
use tally::{Format, Tally};

pub use finish::RunSummary;
pub use job::Progress;

/// A silence that no input reaches, so that silence never ends a run or an instance. In recorded files, a gap between the times
/// of two records does not show a silence, because the records can be out of order.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
/// Maximum number of runs in the files. Rows of a further run are rejected and counted.
const RUNS_MAX: usize = 1024;
/// Folder of the runs that the pipeline writes, in the temporary folder of the conversion.
const RECEIVED: &str = "received";

/// Options of a conversion.
#[derive(Debug, Clone)]
pub struct Options {
    /// Run id of telemetry that names none. Default: the name of the result's folder.
    pub run_id: Option<String>,
    /// The only format to take. Default: all.
    pub format: Option<Format>,
    /// Set when the user interrupts.
    pub stop: &'static AtomicBool,
}

/// Result of a conversion.
#[derive(Debug, Clone, Serialize)]
pub struct Summary {
    pub out: PathBuf,
    pub runs: Vec<RunSummary>,
    #[serde(flatten)]
    pub tally: Tally,
}

/// Converts the files to a folder that appears at `out`: a run, or a folder with a run for each run id in the files.
///
/// # Errors
/// A [`UsageError`] if the request is impossible; otherwise the read or write that failed, the interrupt, or files without usable
/// telemetry. `out` does not exist then.
pub fn convert(
    out: &Path,
    inputs: &[Input],
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Summary> {
    let run_id = own_run_id(out, options)?;
    let output = OutFolder::create(out)?;
    let received = output.scratch().join(RECEIVED);
    fs::create_dir(&received).with_context(|| format!("cannot create {}", received.display()))?;
    let job = Job {
        stop: options.stop,
        on_progress: &mut *on_progress,
        total: inputs.iter().map(Input::size).sum(),
        before: 0,
        read: Rc::default(),
    };
    let mut records = Records::new(
        Offline::new(&received, settings(run_id.clone())),
        job,
        options.format,
        output.scratch(),
    );
    for input in inputs {
        read_input(input, &mut records)?;
    }
    let (mut tally, traces) = records.finish()?;
    if traces.is_none() {
        check_used(&tally)?;
    }
    let first = inputs.first().map(Input::name).unwrap_or_default();
    let writing = Writing {
        output: &output,
        received: &received,
        out,
        run_id: &run_id,
        first: &first,
        stop: options.stop,
    };
    let runs = writing.runs(traces, &mut tally, on_progress)?;
    output.finish_folder()?;
    Ok(Summary {
        out: out.to_owned(),
        runs,
        tally,
    })
}

/// Settings of the pipeline. It infers nothing from silence, and recognises duplicates as long as memory allows.
fn settings(run_id: String) -> Settings {
    let mut kept_metrics = Settings::default().kept_metrics;
    kept_metrics.extend(alibaba::metrics().map(str::to_owned));
    Settings {
        run_id,
        dedup_window: NEVER,
        stale_after: NEVER,
        run_idle: NEVER,
        open_runs_max: RUNS_MAX,
        keeps_runs_open: true,
        kept_metrics,
        ..Settings::default()
    }
}

fn own_run_id(out: &Path, options: &Options) -> anyhow::Result<String> {
    if let Some(run_id) = &options.run_id {
        return Ok(run_id.clone());
    }
    let name = out.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    if is_valid_run_id(name) {
        return Ok(name.to_owned());
    }
    Err(UsageError(format!(
        "the name of {} cannot be a run id; set one with --run-id",
        out.display()
    ))
    .into())
}

fn read_input(input: &Input, records: &mut Records<'_>) -> anyhow::Result<()> {
    let name = input.name();
    let file: Box<dyn Read> = match input {
        Input::Stdin => Box::new(io::stdin().lock()),
        Input::File(path) => {
            Box::new(File::open(path).map_err(|error| UsageError(format!("cannot read {name}: {error}")))?)
        }
    };
    let read = Rc::new(Cell::new(0));
    records.job.read = Rc::clone(&read);
    layers::open(file, &name, &read, &mut |mut source, file| {
        file.clone_into(&mut records.file);
        content::read(&mut source, records)
    })?;
    records.tally.files += 1;
    records.tally.bytes += read.get();
    records.job.before += read.get();
    Ok(())
}

/// Rejects files from which no row can follow.
fn check_used(tally: &Tally) -> anyhow::Result<()> {
    if !tally.is_empty() {
        return Ok(());
    }
    let first = match (tally.damages.shown.first(), tally.rejected.values().next()) {
        (Some(damage), _) => format!(": {}: {}", damage.place, damage.reason),
        (None, Some(rejected)) => format!(": {}: {}", rejected.first, rejected.meaning),
        (None, None) => String::new(),
    };
    Err(anyhow!(
        "nothing to convert: the files have no usable span and no usable point{first}"
    ))
}
