//! run_meta.json: what the folders say of the run united, its counts added up or counted anew.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregate::timeouts;
use aggregate::under_load::slots_and_image;
use anyhow::Context;
use cctf_proto::cctf::{
    Counters, Counts, File, Milliseconds, Module, Row, RunMeta, Shape, SpanOutcomes, Text, field_index,
};
use cctf_proto::keys::parse_run_id;

use super::Tally;
use super::inputs::Input;
use super::union::{Conflicts, Object};
use super::values::encoded;
use rundir::UsageError;

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

/// How long normalizers waited before they concluded something from silence, nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For what may still be told.
    pub join_ns: i64,
    /// For an instance.
    pub stale_ns: i64,
}

impl Default for Patience {
    fn default() -> Self {
        let ns = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        Self {
            join_ns: ns(timeouts::JOIN_WINDOW),
            stale_ns: ns(timeouts::STALE_AFTER),
        }
    }
}

impl Patience {
    /// That of the normalizer which wrote a folder.
    fn of(row: &RunMeta<'_>) -> Self {
        let default = Self::default();
        let or = |told: Option<Milliseconds>, default| told.map_or(default, Milliseconds::as_ns);
        Self {
            join_ns: or(row.join_window_ms, default.join_ns),
            stale_ns: or(row.stale_after_ms, default.stale_ns),
        }
    }

    /// The longer of each: who waited less long may have concluded what another knows better.
    fn and(self, other: Self) -> Self {
        Self {
            join_ns: self.join_ns.max(other.join_ns),
            stale_ns: self.stale_ns.max(other.stale_ns),
        }
    }
}

/// What the folders say.
#[derive(Debug)]
pub struct Meta {
    object: Object,
    counts: Counts,
    /// How long they waited.
    pub patience: Patience,
    /// The run.
    pub run_id: String,
    /// Folders whose run has not ended.
    pub open: u64,
}

impl Meta {
    /// Unites what the folders say, as the run `run_id` if they differ in that.
    pub fn of(inputs: &[Input], run_id: Option<&str>, conflicts: &mut Conflicts) -> anyhow::Result<Self> {
        let run_id = match run_id {
            Some(run_id) => run_id.to_owned(),
            None => common_run_id(inputs)?,
        };
        let run_id = parse_run_id(&run_id).map_err(UsageError)?;
        let (mut object, mut open) = (Object::default(), 0);
        let (mut started, mut ended) = (Vec::new(), Vec::new());
        let mut counts = no_counts();
        let (mut aligned, mut patience) = (Vec::new(), None);
        for input in inputs {
            let row = input.run_meta()?;
            if &*row.cctf_version != CCTF_VERSION {
                return Err(UsageError(format!(
                    "{} is CCTF version {}, this merges version {CCTF_VERSION}",
                    input.path.display(),
                    &*row.cctf_version
                ))
                .into());
            }
            let mut this =
                Object::read(input.run_meta_raw().trim_ascii(), RunMeta::FIELDS).context("run_meta.json")?;
            forget_derived(&mut this, &row, input)?;
            for index in [RUN_ID, PART, JOIN_WINDOW, STALE_AFTER, STARTED, ENDED, COUNTS] {
                this.remove(index);
            }
            object.unite(&this, RunMeta::FIELDS, |field, kept, dropped| {
                conflicts.add(File::RunMeta.name(), &run_id, field, kept, dropped);
            });
            let this = Patience::of(&row);
            patience = Some(patience.map_or(this, |patience: Patience| patience.and(this)));
            started.push(row.started_ts);
            ended.push(row.ended_ts);
            open += u64::from(row.ended_ts.is_none());
            aligned.push(row.clocks_aligned == Some(true));
            add_counts(&mut counts, &row.counts);
        }
        if aligned.iter().any(|&is| is != aligned[0]) {
            return Err(UsageError(
                "some of the folders have aligned stamps and others do not: merge those that were recorded"
                    .to_owned(),
            )
            .into());
        }
        object.set(RUN_ID, encoded(&Text::from(run_id.as_str())));
        let (patience, default) = (patience.unwrap_or_default(), Patience::default());
        for (index, ns, default) in [
            (JOIN_WINDOW, patience.join_ns, default.join_ns),
            (STALE_AFTER, patience.stale_ns, default.stale_ns),
        ] {
            if ns != default {
                object.set(index, encoded(&Milliseconds::from_ns(ns)));
            }
        }
        let started = started.into_iter().min().unwrap_or_default();
        object.set(STARTED, encoded(&started));
        // A run of which a part goes on has not ended.
        let ended: Option<Milliseconds> = ended
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .and_then(|all| all.into_iter().max());
        object.set(ENDED, ended.map_or(b"null".to_vec(), |ended| encoded(&ended)));
        Ok(Self {
            object,
            counts,
            patience,
            run_id,
            open,
        })
    }

    /// Takes slots and image of the service under load from the merged module_inventory.json, where no folder has another value.
    pub fn derive(&mut self, modules: &[u8]) -> anyhow::Result<()> {
        let modules: Vec<Module<'_>> = serde_json::from_slice(modules).context("module_inventory.json")?;
        let (slots, image) = slots_and_image(&modules);
        if let (None, Some(slots)) = (self.object.get(WORKERS), slots) {
            self.object.set(WORKERS, encoded(&slots));
        }
        if let (None, Some(image)) = (self.object.get(IMG), image) {
            self.object.set(IMG, encoded(&Text::from(image)));
        }
        Ok(())
    }

    /// Says that the stamps are aligned.
    pub fn set_aligned(&mut self) {
        self.object.set(CLOCKS_ALIGNED, b"true".to_vec());
    }

    /// The file, with what was counted on the way.
    pub fn write(mut self, tally: &Tally) -> Vec<u8> {
        self.counts.duplicates += tally.duplicates;
        if let Some(outcomes) = &mut self.counts.spans_by_outcome {
            let of_spans = |lines: &[u64]| -> u64 {
                let files = [File::Invocations, File::Calls];
                files.map(|file| lines[file as usize]).iter().sum()
            };
            outcomes.rows = of_spans(&tally.written);
            outcomes.duplicates += of_spans(&tally.read).saturating_sub(outcomes.rows);
        }
        self.counts.orphans = tally.orphans;
        self.counts.late = tally.late;
        self.counts.rows = Counters(
            File::ALL
                .iter()
                .filter(|file| file.shape() == Shape::Lines)
                .map(|file| (file.name().to_owned(), tally.written[*file as usize]))
                .collect(),
        );
        self.object.set(COUNTS, encoded(&self.counts));
        let mut out = Vec::new();
        self.object.write(RunMeta::FIELDS, &mut out);
        out.push(b'\n');
        out
    }
}

/// Takes away what a normalizer concluded from the inventory beside it, to be concluded again from all of them.
fn forget_derived(object: &mut Object, row: &RunMeta<'_>, input: &Input) -> anyhow::Result<()> {
    let inventory = input.whole(File::ModuleInventory)?.unwrap_or_default();
    // One that cannot be read is reported when it is merged.
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
            "the folders are of different runs ({}): name the result with --run-id",
            ids.join(", ")
        ))
        .into()),
    }
}

fn no_counts() -> Counts {
    Counts {
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

fn add_counts(sum: &mut Counts, more: &Counts) {
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
        // A folder of an earlier build does not say what became of its spans, so neither can the result.
        _ => None,
    };
    for (reason, &count) in &more.rejected.0 {
        add(sum.rejected.0.entry(reason.clone()).or_default(), count);
    }
}
