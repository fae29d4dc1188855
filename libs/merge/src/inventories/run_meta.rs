//! [`MergedMeta`]: `run_meta.json`. Facts from the folders are united. Counts are added, or counted again.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregate::under_load::slots_and_image;
use anyhow::Context;
use cctf_proto::cctf::{
    Counters, Counts as RunCounts, File, Milliseconds, Module, Row, RunMeta, Shape, SpanOutcomes, Text,
    field_index,
};
use cctf_proto::keys::parse_run_id;
use rundir::UsageError;

use crate::inputs::Input;
use crate::inventories::union::{Conflicts, Object};
use crate::model::{Counts, Timeouts};
use crate::requests::made_rows::MadeRows;
use crate::values::encoded;

const RUN_ID: usize = field_index(RunMeta::FIELDS, "run_id");
const PART: usize = field_index(RunMeta::FIELDS, "part");
const CLOCKS_ALIGNED: usize = field_index(RunMeta::FIELDS, "clocks_aligned");
const JOIN_WINDOW: usize = field_index(RunMeta::FIELDS, "join_window_ms");
const STALE_AFTER: usize = field_index(RunMeta::FIELDS, "stale_after_ms");
const IMG: usize = field_index(RunMeta::FIELDS, "img");
const WORKERS: usize = field_index(RunMeta::FIELDS, "workers");
const STARTED: usize = field_index(RunMeta::FIELDS, "started_ts");
const ENDED: usize = field_index(RunMeta::FIELDS, "ended_ts");
const COUNTS: usize = field_index(RunMeta::FIELDS, "counts");
/// The version of the contract that is read and written.
const CCTF_VERSION: &str = "1";

#[derive(Debug)]
pub struct MergedMeta {
    object: Object,
    counts: RunCounts,
    pub timeouts: Timeouts,
    pub run_id: String,
    /// Number of folders whose run has not ended.
    pub open: u64,
    started: Option<Milliseconds>,
    ended: Option<Milliseconds>,
}

impl MergedMeta {
    /// Unites the files of all folders. `run_id` is required if their run ids differ.
    pub fn from_inputs(
        inputs: &[Input],
        run_id: Option<&str>,
        conflicts: &mut Conflicts,
    ) -> anyhow::Result<Self> {
        let run_id = match run_id {
            Some(run_id) => run_id.to_owned(),
            None => common_run_id(inputs)?,
        };
        let mut merged = Self {
            object: Object::default(),
            counts: no_counts(),
            timeouts: Timeouts::default(),
            run_id: parse_run_id(&run_id).map_err(UsageError)?,
            open: 0,
            started: None,
            ended: None,
        };
        for input in inputs {
            merged.add(input, conflicts)?;
        }
        check_alignment(inputs)?;
        Ok(merged)
    }

    fn add(&mut self, input: &Input, conflicts: &mut Conflicts) -> anyhow::Result<()> {
        let row = input.run_meta()?;
        if &*row.cctf_version != CCTF_VERSION {
            return Err(UsageError(format!(
                "cannot merge {}: its CCTF version is {}, and the supported version is {CCTF_VERSION}",
                input.path.display(),
                &*row.cctf_version
            ))
            .into());
        }
        let mut object = Object::read(input.run_meta_raw().trim_ascii(), RunMeta::FIELDS)
            .with_context(|| format!("cannot read {}", input.folder().path(File::RunMeta).display()))?;
        remove_derived(&mut object, &row, input)?;
        self.unite(object, &row, conflicts);
        Ok(())
    }

    /// Adds what follows from rows that are in no folder.
    pub fn add_made(
        &mut self,
        rows: &MadeRows,
        stale_after: Duration,
        conflicts: &mut Conflicts,
    ) -> anyhow::Result<()> {
        let times = [rows.begin, rows.end].map(|ns| Milliseconds::from_ns(ns.unwrap_or_default()));
        let counts = RunCounts {
            spans: rows.rows,
            unknown_node: rows.on_unknown_node,
            ..no_counts()
        };
        let run_id = self.run_id.clone();
        let row = RunMeta {
            stale_after_ms: i64::try_from(stale_after.as_nanos())
                .ok()
                .map(Milliseconds::from_ns),
            normalizer_version: env!("CARGO_PKG_VERSION").into(),
            ..RunMeta::new(&run_id, times, counts)
        };
        let mut object = Object::read(&encoded(&row), RunMeta::FIELDS)?;
        for index in [WORKERS, IMG] {
            object.remove(index);
        }
        self.unite(object, &row, conflicts);
        Ok(())
    }

    fn unite(&mut self, mut object: Object, row: &RunMeta<'_>, conflicts: &mut Conflicts) {
        for index in [RUN_ID, PART, JOIN_WINDOW, STALE_AFTER, STARTED, ENDED, COUNTS] {
            object.remove(index);
        }
        let run_id = &self.run_id;
        self.object
            .unite(&object, RunMeta::FIELDS, |field, kept, dropped| {
                conflicts.add(File::RunMeta.name(), run_id, field, kept, dropped);
            });
        let (timeouts, started) = (Timeouts::from_meta(row), row.started_ts);
        (self.timeouts, self.started) = match self.started {
            None => (timeouts, Some(started)),
            Some(known) => (self.timeouts.longer(timeouts), Some(known.min(started))),
        };
        self.ended = self.ended.max(row.ended_ts);
        self.open += u64::from(row.ended_ts.is_none());
        add_counts(&mut self.counts, &row.counts);
    }

    /// Sets the fields that are not united.
    fn set_own_fields(&mut self) {
        self.object
            .set(RUN_ID, encoded(&Text::from(self.run_id.as_str())));
        let default = Timeouts::default();
        for (index, ns, default) in [
            (JOIN_WINDOW, self.timeouts.join_ns, default.join_ns),
            (STALE_AFTER, self.timeouts.stale_ns, default.stale_ns),
        ] {
            if ns != default {
                self.object.set(index, encoded(&Milliseconds::from_ns(ns)));
            }
        }
        self.object
            .set(STARTED, encoded(&self.started.unwrap_or_default()));
        // While one of the runs has not ended, the merged run has not ended.
        let ended = self.ended.filter(|_| self.open == 0);
        self.object
            .set(ENDED, ended.map_or(b"null".to_vec(), |ended| encoded(&ended)));
    }

    /// Derives the slots and the image of the service under load from the merged `module_inventory.json`, unless a folder
    /// states them.
    pub fn derive(&mut self, modules: &[u8]) -> anyhow::Result<()> {
        let modules: Vec<Module<'_>> =
            serde_json::from_slice(modules).context("cannot read the merged module_inventory.json")?;
        let (slots, image) = slots_and_image(&modules);
        if let (None, Some(slots)) = (self.object.get(WORKERS), slots) {
            self.object.set(WORKERS, encoded(&slots));
        }
        if let (None, Some(image)) = (self.object.get(IMG), image) {
            self.object.set(IMG, encoded(&Text::from(image)));
        }
        Ok(())
    }

    /// Records that the timestamps are aligned.
    pub fn set_aligned(&mut self) {
        self.object.set(CLOCKS_ALIGNED, b"true".to_vec());
    }

    /// Adds the counts of the merge. Returns the content of the file.
    pub fn finish(mut self, counts: &Counts) -> Vec<u8> {
        self.set_own_fields();
        self.counts.duplicates += counts.duplicates;
        if let Some(outcomes) = &mut self.counts.spans_by_outcome {
            let of_spans = |lines: &[u64]| -> u64 {
                let files = [File::Invocations, File::Calls];
                files.map(|file| lines[file as usize]).iter().sum()
            };
            outcomes.rows = of_spans(&counts.written);
            outcomes.duplicates += of_spans(&counts.read).saturating_sub(outcomes.rows);
        }
        self.counts.orphans = counts.orphans;
        self.counts.late = counts.late;
        self.counts.rows = Counters(
            File::ALL
                .iter()
                .filter(|file| file.shape() == Shape::Lines)
                .map(|file| (file.name().to_owned(), counts.written[*file as usize]))
                .collect(),
        );
        self.object.set(COUNTS, encoded(&self.counts));
        let mut out = Vec::new();
        self.object.encode(RunMeta::FIELDS, &mut out);
        out.push(b'\n');
        out
    }
}

/// Removes the values that the normalizer derived from the folder's inventory, because they are derived again from the merged
/// one.
fn remove_derived(object: &mut Object, row: &RunMeta<'_>, input: &Input) -> anyhow::Result<()> {
    let inventory = input.whole(File::ModuleInventory)?.unwrap_or_default();
    // An invalid inventory causes an error when it is merged.
    let modules: Vec<Module<'_>> = serde_json::from_slice(&inventory).unwrap_or_default();
    let (slots, image) = slots_and_image(&modules);
    if row.workers == slots {
        object.remove(WORKERS);
    }
    if row.img.as_deref() == image {
        object.remove(IMG);
    }
    Ok(())
}

fn common_run_id(inputs: &[Input]) -> anyhow::Result<String> {
    let mut ids: Vec<String> = Vec::new();
    for input in inputs {
        ids.push(input.run_meta()?.run_id.to_string());
    }
    ids.sort();
    ids.dedup();
    match &ids[..] {
        [only] => Ok(only.clone()),
        _ => Err(UsageError(format!(
            "cannot merge folders of different runs ({}); set the run id of the result with --run-id",
            ids.join(", ")
        ))
        .into()),
    }
}

/// Rejects a mix of folders with aligned and with recorded timestamps.
fn check_alignment(inputs: &[Input]) -> anyhow::Result<()> {
    let mut aligned = 0;
    for input in inputs {
        aligned += usize::from(input.run_meta()?.clocks_aligned == Some(true));
    }
    if aligned == 0 || aligned == inputs.len() {
        return Ok(());
    }
    Err(UsageError(
        "cannot merge folders with aligned timestamps and folders with recorded ones; merge the recorded folders"
            .to_owned(),
    )
    .into())
}

fn no_counts() -> RunCounts {
    RunCounts {
        spans: 0,
        points: 0,
        logs: 0,
        rows: Counters(BTreeMap::new()),
        duplicates: 0,
        orphans: 0,
        late: 0,
        unknown_node: 0,
        evicted: None,
        rejected: Counters(BTreeMap::new()),
        spans_by_outcome: Some(SpanOutcomes {
            rows: 0,
            inner: 0,
            asides: 0,
            control: 0,
            duplicates: 0,
            rejected: 0,
        }),
    }
}

fn add_counts(sum: &mut RunCounts, more: &RunCounts) {
    let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
    add(&mut sum.spans, more.spans);
    add(&mut sum.points, more.points);
    add(&mut sum.logs, more.logs);
    add(&mut sum.duplicates, more.duplicates);
    add(&mut sum.unknown_node, more.unknown_node);
    if let Some(evicted) = more.evicted {
        add(sum.evicted.get_or_insert(0), evicted);
    }
    sum.spans_by_outcome = match (sum.spans_by_outcome.take(), &more.spans_by_outcome) {
        (Some(mut sum), Some(more)) => {
            add(&mut sum.inner, more.inner);
            add(&mut sum.asides, more.asides);
            add(&mut sum.control, more.control);
            add(&mut sum.duplicates, more.duplicates);
            add(&mut sum.rejected, more.rejected);
            Some(sum)
        }
        // Folders from earlier builds do not have these counts, so the sum is unknown.
        _ => None,
    };
    for (reason, &count) in &more.rejected.0 {
        add(sum.rejected.0.entry(reason.clone()).or_default(), count);
    }
}
