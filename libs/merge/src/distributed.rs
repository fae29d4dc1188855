//! [`merge_bucket`] and [`merge_rests`]: a merge in buckets, on many machines. Together they write what one merge writes.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::{File, Milliseconds, Node};
use rundir::output::OutFolder;
use rundir::{BUCKET_FILE, RESTS_FILE, UsageError};
use serde::Serialize;

use crate::align::check_not_aligned;
use crate::bucket::Bucket;
use crate::buckets::lines::FILES;
use crate::buckets::manifest::{
    AllBuckets, BucketManifest, InputIdentity, Origin, RestsManifest, difference,
};
use crate::buckets::rows::merge_rows;
use crate::endpoint_cpu::{Lacking, add_cpu_times, needs_invocations};
use crate::inputs::{Input, open_all};
use crate::model::{Offset, Options, Source, Summary};
use crate::progress::Progress;
use crate::rows::span_file::SpanFile;
use crate::session::Session;

/// Clock offsets by node.
type Offsets = BTreeMap<String, Offset>;

/// The result of merging one bucket.
#[derive(Debug, Clone, Serialize)]
pub struct BucketSummary {
    /// Path of the bucket.
    pub out: PathBuf,
    pub run_id: String,
    /// The bucket and the number of all.
    pub bucket: u16,
    pub of: u16,
    /// Number of folders read.
    pub folders: u64,
    /// Bytes of the lines read.
    pub bytes_read: u64,
    /// Invocations and calls of the folders in this bucket, and in all others.
    pub rows_read: u64,
    pub rows_skipped: u64,
    /// Lines written, by file.
    pub rows: BTreeMap<&'static str, u64>,
    pub duplicates: u64,
    /// Orphans whose parent was found.
    pub resolved: u64,
    /// Rows that are still orphans.
    pub orphans: u64,
    /// Bytes of the files for the rest of the merge.
    pub bytes_handed: u64,
    /// Whether the timestamps are aligned.
    pub aligned: bool,
}

/// The folders from which a bucket is made.
struct BucketInputs {
    inputs: Vec<Input>,
    offsets: Option<Offsets>,
    /// For an aligned bucket: the origin of the same bucket of the first round.
    origin: Option<Origin>,
}

/// Merges the traces of one bucket of the folders `inputs` into a folder that appears at `out`.
///
/// With `options.align_clocks`, this is the second round: the folders are the rest of the merge of the first round, and the same
/// bucket.
///
/// # Errors
/// A [`UsageError`] if the request is impossible; otherwise an I/O error. After an error, `out` does not exist.
pub fn merge_bucket(
    out: &Path,
    inputs: &[PathBuf],
    bucket: Bucket,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<BucketSummary> {
    let opened = match options.align_clocks {
        true => second_round(inputs, bucket)?,
        false => BucketInputs {
            inputs: open_all(inputs)?,
            offsets: None,
            origin: None,
        },
    };
    let before = identities(&opened.inputs)?;
    let folder = OutFolder::create(out)?;
    let source = Source {
        inputs: &opened.inputs,
        run_id: options.run_id.as_deref(),
        clocks: opened.offsets.as_ref(),
        bucket: Some(bucket),
        limits: options.limits,
        stop: options.stop,
    };
    let (counts, run_id) = Session::of_bucket(&folder)?.run_bucket(&source, on_progress)?;
    let after = identities(&opened.inputs)?;
    for ((before, after), path) in before.iter().zip(&after).zip(inputs) {
        if before != after {
            return Err(UsageError(format!(
                "cannot make a bucket of {}: the folder changed meanwhile, so the buckets would not fit; repeat the command when its run \
                 has ended",
                path.display()
            ))
            .into());
        }
    }
    let origin = match opened.origin {
        Some(recorded) => Origin {
            aligned: true,
            ..recorded
        },
        None => Origin::new(bucket.of, &run_id, after),
    };
    let manifest = BucketManifest::write(&folder.run(), bucket, &counts, origin)?;
    folder.finish_folder()?;
    Ok(summary_of(out, &opened.inputs, manifest))
}

fn summary_of(out: &Path, inputs: &[Input], manifest: BucketManifest) -> BucketSummary {
    let counts = &manifest.counts;
    let sizes = inputs.iter().flat_map(|input| {
        let size = |file: SpanFile| input.folder_of(file.file()).size(file.file());
        SpanFile::ALL.map(size)
    });
    BucketSummary {
        out: out.to_owned(),
        bucket: manifest.bucket,
        of: manifest.origin.of.get(),
        folders: inputs.len() as u64,
        bytes_read: sizes.sum(),
        rows_read: counts.read(),
        rows_skipped: counts.skipped,
        rows: BTreeMap::from([
            (File::Invocations.name(), counts.invocations),
            (File::Calls.name(), counts.calls),
        ]),
        duplicates: counts.duplicates,
        resolved: counts.resolved,
        orphans: counts.orphans,
        bytes_handed: FILES.iter().filter_map(|name| manifest.bytes.get(*name)).sum(),
        aligned: manifest.origin.aligned,
        run_id: manifest.origin.run_id,
    }
}

/// Writes the rest of the merge, which depends on all `buckets`: everything except invocations and calls. The buckets were made
/// from the folders `inputs`. With `has_rows`, also merges the invocations and calls of all buckets, and the result is a run.
///
/// With `options.align_clocks`, this is the second round: the folder is the rest of the merge of the first round.
///
/// # Errors
/// As of [`merge_bucket`].
pub fn merge_rests(
    out: &Path,
    inputs: &[PathBuf],
    buckets: &[PathBuf],
    has_rows: bool,
    options: &Options,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Summary> {
    let all = AllBuckets::open(buckets)?;
    let origin = all.manifests.first().map(|bucket| bucket.origin.clone());
    let origin = origin.context("no buckets")?;
    if options
        .run_id
        .as_ref()
        .is_some_and(|run_id| *run_id != origin.run_id)
    {
        return Err(UsageError(format!(
            "cannot change the run id: the buckets were made for {}; leave out --run-id",
            origin.run_id
        ))
        .into());
    }
    let (opened, offsets) = inputs_of_rests(inputs, &origin, options.align_clocks)?;
    let folder = OutFolder::create(out)?;
    let source = Source {
        inputs: &opened,
        run_id: Some(&origin.run_id),
        clocks: offsets.as_ref(),
        bucket: None,
        limits: options.limits,
        stop: options.stop,
    };
    let session = Session::new(&folder, folder.run())?;
    let (summary, _) = session.run_rests(&source, &all, has_rows, on_progress)?;
    let lacking = match has_rows {
        true => add_cpu_times(&folder.run(), on_progress)?,
        false => cpu_times_without_rows(&folder, &all, on_progress)?,
    };
    let summary = Summary {
        out: out.to_owned(),
        folders: inputs.len() as u64,
        cpu_notes: lacking.notes,
        cpu_damaged: lacking.damaged,
        ..summary
    };
    if has_rows {
        folder.finish()?;
    } else {
        RestsManifest { origin }.write(&folder.run())?;
        folder.finish_folder()?;
    }
    Ok(summary)
}

/// Adds regressed CPU times. If they need invocations, the result has them for that time.
fn cpu_times_without_rows(
    folder: &OutFolder,
    all: &AllBuckets,
    on_progress: &mut (dyn FnMut(Progress) + Send),
) -> anyhow::Result<Lacking> {
    let run = folder.run();
    if !needs_invocations(&run)? {
        return add_cpu_times(&run, on_progress);
    }
    let file = SpanFile::Invocations;
    let path = run.join(rundir::CCTF).join(file.file().name());
    merge_rows(&all.folders, file, &path, &mut |_| Ok(()))?;
    let lacking = add_cpu_times(&run, on_progress)?;
    std::fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
    Ok(lacking)
}

fn identities(inputs: &[Input]) -> anyhow::Result<Vec<InputIdentity>> {
    inputs.iter().map(InputIdentity::of).collect()
}

/// The folders from which the rest of the merge is made, and the offsets to subtract.
fn inputs_of_rests(
    inputs: &[PathBuf],
    origin: &Origin,
    align_clocks: bool,
) -> anyhow::Result<(Vec<Input>, Option<Offsets>)> {
    let usage = |text: String| anyhow::Error::from(UsageError(text));
    match (align_clocks, origin.aligned) {
        (true, false) => return Err(usage(TWO_ROUNDS.to_owned())),
        (false, true) => {
            return Err(usage(
                "cannot merge the buckets: they have aligned clocks; add --align-clocks".to_owned(),
            ));
        }
        (false, false) => {
            let opened = open_all(inputs)?;
            let found = Origin::new(origin.of, &origin.run_id, identities(&opened)?);
            if found != *origin {
                return Err(usage(
                    "cannot merge the buckets: they were made from other folders, or from these in another order or state; name the same folders \
                     in the same order, or make the buckets again"
                        .to_owned(),
                ));
            }
            return Ok((opened, None));
        }
        (true, true) => {}
    }
    let [rests] = inputs else {
        return Err(usage(TWO_ROUNDS.to_owned()));
    };
    let recorded = RestsManifest::read(rests)?.origin;
    let aligned = Origin {
        aligned: true,
        ..recorded
    };
    if let Some(cause) = difference(&aligned, origin) {
        let path = rests.display();
        return Err(usage(format!("cannot combine {path} and the buckets: {cause}")));
    }
    let input = Input::open_rests(rests, None)?;
    let offsets = offsets_in(&input)?;
    Ok((vec![input], Some(offsets)))
}

/// How to align clocks in buckets.
const TWO_ROUNDS: &str = "aligning clocks in buckets takes two rounds, because each offset depends on all buckets: make all buckets, \
                          and RESTS with --rests, without --align-clocks; then, for each bucket, cctf merge ALIGNED RESTS BUCKET --bucket i/N \
                          --align-clocks, and at last cctf merge OUT RESTS --align-clocks --rests ALIGNED...";

/// The inputs of an aligned bucket: the rest of the merge and the bucket of the first round.
fn second_round(inputs: &[PathBuf], bucket: Bucket) -> anyhow::Result<BucketInputs> {
    let usage = |text: String| anyhow::Error::from(UsageError(text));
    let has = |path: &Path, name: &str| path.join(name).is_file();
    let (rests, recorded) = match inputs {
        [one, other] if has(one, RESTS_FILE) && has(other, BUCKET_FILE) => (one, other),
        [one, other] if has(other, RESTS_FILE) && has(one, BUCKET_FILE) => (other, one),
        _ => return Err(usage(TWO_ROUNDS.to_owned())),
    };
    let of_rests = RestsManifest::read(rests)?.origin;
    let manifest = BucketManifest::read(recorded)?;
    manifest.check_complete(recorded)?;
    if let Some(cause) = difference(&of_rests, &manifest.origin) {
        return Err(usage(format!(
            "cannot align {} with {}: {cause}",
            recorded.display(),
            rests.display()
        )));
    }
    if manifest.bucket != bucket.index || manifest.origin.of != bucket.of {
        return Err(usage(format!(
            "cannot make bucket {bucket} of {}: that is bucket {}/{}",
            recorded.display(),
            manifest.bucket,
            manifest.origin.of
        )));
    }
    let input = Input::open_rests(rests, Some(recorded))?;
    check_not_aligned(&input)?;
    Ok(BucketInputs {
        offsets: Some(offsets_in(&input)?),
        inputs: vec![input],
        origin: Some(manifest.origin),
    })
}

/// The clock offsets that a merge has written.
fn offsets_in(input: &Input) -> anyhow::Result<Offsets> {
    let path = input.folder().path(File::Nodes);
    let cannot_read = || format!("cannot read {}", path.display());
    let bytes = input.whole(File::Nodes)?.with_context(cannot_read)?;
    let nodes: Vec<Node<'_>> = serde_json::from_slice(&bytes).with_context(cannot_read)?;
    let offset = |node: &Node<'_>| {
        let (offset, error) = node.clock_offset_ms.zip(node.clock_error_ms)?;
        let (ns, error_ns) = (Milliseconds::as_ns(offset), Milliseconds::as_ns(error));
        Some((node.node_id.to_string(), Offset { ns, error_ns }))
    };
    Ok(nodes.iter().filter_map(offset).collect())
}
