//! [`BucketManifest`] and [`RestsManifest`]: describe a folder of a merge in buckets, and the folders from which it was made. A manifest is
//! written last, so a folder without a manifest is not used.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::num::NonZero;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::{File, Shape};
use rundir::output::write_whole;
use rundir::{BUCKET_FILE, RESTS_FILE, UsageError};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::bucket::Bucket;
use crate::buckets::lines::FILES;
use crate::inputs::Input;
use crate::model::Counts;

/// Version of the files that a bucket hands on. It changes with their content and with the hash of traces.
const VERSION: u32 = 1;
/// Maximum size of a manifest: many thousand folders.
const BYTES_MAX: u64 = 64 << 20;

/// Identifies the content of a folder without reading its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputIdentity {
    pub run_id: String,
    /// Hash of its `.json` files.
    pub hash: String,
    /// Size of each of its `.jsonl` files.
    pub bytes: BTreeMap<String, u64>,
}

/// The folders and settings from which a folder was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    pub version: u32,
    /// Number of buckets.
    pub of: NonZero<u16>,
    /// Run id of the result.
    pub run_id: String,
    /// Whether clock offsets were subtracted.
    pub aligned: bool,
    /// The folders, in their order.
    pub inputs: Vec<InputIdentity>,
}

/// The counts of a bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketCounts {
    pub invocations_read: u64,
    pub calls_read: u64,
    /// Rows of other buckets.
    pub skipped: u64,
    pub invocations: u64,
    pub calls: u64,
    /// Incomplete lines of the folders.
    pub torn: u64,
    pub duplicates: u64,
    pub orphans: u64,
    pub late: u64,
    pub resolved: u64,
}

/// `bucket.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BucketManifest {
    pub bucket: u16,
    pub counts: BucketCounts,
    /// Size of each of its files.
    pub bytes: BTreeMap<String, u64>,
    pub origin: Origin,
}

/// `rests.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestsManifest {
    pub origin: Origin,
}

impl InputIdentity {
    /// The identity of a folder in its current state.
    pub fn of(input: &Input) -> anyhow::Result<Self> {
        let mut hasher = foldhash::quality::FixedState::with_seed(0x6275_636b).build_hasher();
        let mut bytes = BTreeMap::new();
        for &file in File::ALL {
            match file.shape() {
                Shape::Lines => {
                    bytes.insert(file.name().to_owned(), input.folder_of(file).size(file));
                }
                Shape::Array | Shape::Object => {
                    let whole = input.whole(file)?.unwrap_or_default();
                    hasher.write_usize(whole.len());
                    hasher.write(&whole);
                }
            }
        }
        Ok(Self {
            run_id: input.run_meta()?.run_id.to_string(),
            hash: format!("{:016x}", hasher.finish()),
            bytes,
        })
    }
}

impl Origin {
    pub fn new(of: NonZero<u16>, run_id: &str, inputs: Vec<InputIdentity>) -> Self {
        Self {
            version: VERSION,
            of,
            run_id: run_id.to_owned(),
            aligned: false,
            inputs,
        }
    }
}

impl BucketCounts {
    pub fn new(counts: &Counts) -> Self {
        let of = |lines: &[u64], file: File| lines[file as usize];
        Self {
            invocations_read: of(&counts.read, File::Invocations),
            calls_read: of(&counts.read, File::Calls),
            skipped: counts.skipped,
            invocations: of(&counts.written, File::Invocations),
            calls: of(&counts.written, File::Calls),
            torn: counts.torn,
            duplicates: counts.duplicates,
            orphans: counts.orphans,
            late: counts.late,
            resolved: counts.resolved,
        }
    }

    /// Rows of the folders that are in this bucket.
    pub fn read(&self) -> u64 {
        self.invocations_read + self.calls_read
    }

    /// Adds these counts to the counts of a whole merge. Incomplete lines are not added, because each bucket counts the same ones.
    pub fn add_to(&self, counts: &mut Counts) {
        counts.read[File::Invocations as usize] += self.invocations_read;
        counts.read[File::Calls as usize] += self.calls_read;
        counts.written[File::Invocations as usize] += self.invocations;
        counts.written[File::Calls as usize] += self.calls;
        counts.duplicates += self.duplicates;
        counts.orphans += self.orphans;
        counts.late += self.late;
        counts.resolved += self.resolved;
    }
}

impl BucketManifest {
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        read(folder, BUCKET_FILE, "a bucket")
    }

    /// Checks that each file has the size that it had when the bucket was made.
    ///
    /// # Errors
    /// A [`UsageError`].
    pub fn check_complete(&self, folder: &Path) -> anyhow::Result<()> {
        for (name, &bytes) in &self.bytes {
            let found = fs::metadata(folder.join(name)).map_or(None, |data| Some(data.len()));
            if found != Some(bytes) {
                let has = found.map_or("is missing".to_owned(), |found| format!("has {found} bytes"));
                return Err(UsageError(format!(
                    "cannot use {}: it is incomplete, because {name} {has} and {BUCKET_FILE} states {bytes} bytes; copy it or make it \
                     again",
                    folder.display()
                ))
                .into());
            }
        }
        Ok(())
    }

    /// Writes the manifest of a bucket with all of its files.
    pub fn write(folder: &Path, bucket: Bucket, counts: &Counts, origin: Origin) -> anyhow::Result<Self> {
        let manifest = Self {
            bucket: bucket.index,
            counts: BucketCounts::new(counts),
            bytes: sizes(folder)?,
            origin,
        };
        write_json(&folder.join(BUCKET_FILE), &manifest)?;
        Ok(manifest)
    }
}

impl RestsManifest {
    pub fn read(folder: &Path) -> anyhow::Result<Self> {
        read(folder, RESTS_FILE, "the output of cctf merge --rests")
    }

    pub fn write(&self, folder: &Path) -> anyhow::Result<()> {
        write_json(&folder.join(RESTS_FILE), self)
    }
}

/// All files of a bucket except the manifest.
fn sizes(folder: &Path) -> anyhow::Result<BTreeMap<String, u64>> {
    let rows = [File::Invocations, File::Calls].map(File::name);
    let size = |name: &str| {
        let path = folder.join(name);
        let data = fs::metadata(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((name.to_owned(), data.len()))
    };
    rows.into_iter().chain(FILES).map(size).collect()
}

fn write_json(path: &Path, manifest: &impl Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(manifest)?;
    text.push(b'\n');
    write_whole(path, &text)
}

fn read<T: DeserializeOwned>(folder: &Path, name: &str, what: &str) -> anyhow::Result<T> {
    let path = folder.join(name);
    let refusal = |cause: &str| UsageError(format!("cannot use {} as {what}: {cause}", folder.display()));
    let size = match fs::metadata(&path) {
        Ok(data) => data.len(),
        Err(error) if rundir::regular::is_missing(&error) => {
            let cause = format!("it has no {name}, so it is something else or incomplete; make it again");
            return Err(refusal(&cause).into());
        }
        Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
    };
    if size > BYTES_MAX {
        return Err(refusal(&format!("its {name} is too long; make it again")).into());
    }
    let text = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text).map_err(|error| {
        let cause = format!("its {name} is invalid ({error}); make it again with this version of cctf");
        refusal(&cause).into()
    })
}

/// The manifests of all buckets of one merge, by bucket.
#[derive(Debug)]
pub struct AllBuckets {
    pub folders: Vec<PathBuf>,
    pub manifests: Vec<BucketManifest>,
}

impl AllBuckets {
    /// Opens them. They must be all buckets of one merge, each once and complete.
    ///
    /// # Errors
    /// A [`UsageError`] that names the bucket that is missing or cannot be used.
    pub fn open(folders: &[PathBuf]) -> anyhow::Result<Self> {
        let usage = |text: String| anyhow::Error::from(UsageError(text));
        let mut by_bucket: BTreeMap<u16, (&PathBuf, BucketManifest)> = BTreeMap::new();
        let mut first: Option<(&PathBuf, Origin)> = None;
        for folder in folders {
            let manifest = BucketManifest::read(folder)?;
            manifest.check_complete(folder)?;
            let (one, origin) = first.get_or_insert_with(|| (folder, manifest.origin.clone()));
            if let Some(cause) = difference(origin, &manifest.origin) {
                return Err(usage(format!(
                    "cannot combine {} and {}: {cause}; make the buckets again, all in the same way",
                    one.display(),
                    folder.display()
                )));
            }
            let bucket = manifest.bucket;
            if let Some((other, _)) = by_bucket.insert(bucket, (folder, manifest)) {
                return Err(usage(format!(
                    "cannot combine {} and {}: both are bucket {bucket}; name each bucket once",
                    other.display(),
                    folder.display()
                )));
            }
        }
        let of = first.map_or(0, |(_, origin)| origin.of.get());
        let missing = (0..of).find(|bucket| !by_bucket.contains_key(bucket));
        if let Some(missing) = missing {
            return Err(usage(format!(
                "cannot merge the buckets: bucket {missing}/{of} is missing; make it with --bucket {missing}/{of}, and name it with the \
                 others"
            )));
        }
        let (folders, manifests) = by_bucket
            .into_values()
            .map(|(folder, manifest)| (folder.clone(), manifest))
            .unzip();
        let all = Self { folders, manifests };
        all.check_counts()?;
        Ok(all)
    }

    /// Each bucket has seen the same lines, and each line is in one bucket.
    fn check_counts(&self) -> anyhow::Result<()> {
        let read: u64 = self.manifests.iter().map(|bucket| bucket.counts.read()).sum();
        for (folder, bucket) in self.folders.iter().zip(&self.manifests) {
            let seen = bucket.counts.read() + bucket.counts.skipped;
            // Of aligned buckets, each reads its own rows only.
            if seen != read && !bucket.origin.aligned {
                return Err(UsageError(format!(
                    "cannot use {}: it has seen {seen} rows, and the buckets have {read}; a folder has changed while buckets were \
                     made, so make all of them again",
                    folder.display()
                ))
                .into());
            }
        }
        Ok(())
    }
}

/// The difference between two origins; `None` if they are the same.
pub fn difference(one: &Origin, other: &Origin) -> Option<String> {
    if one.version != other.version {
        return Some("they are by different versions of cctf".to_owned());
    }
    if one.of != other.of {
        return Some(format!("they are of {} and of {} buckets", one.of, other.of));
    }
    if one.aligned != other.aligned {
        return Some("only one has aligned clocks".to_owned());
    }
    if one.run_id != other.run_id {
        return Some(format!("their run ids are {} and {}", one.run_id, other.run_id));
    }
    (one.inputs != other.inputs).then(|| {
        "they are from different folders, or from the same ones in another order or state".to_owned()
    })
}
