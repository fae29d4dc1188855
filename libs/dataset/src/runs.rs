//! [`Input`]: a run that will be added to a data set. Also checks which runs cannot be added.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Milliseconds, Part, Row, RunMeta, Shape, Text, WHOLE_BYTES_MAX, field_index};
use cctf_proto::keys::is_valid_run_id;
use rundir::output::lock_run;
use rundir::parts::{Run, State};
use rundir::{RunFolder, UsageError};
use serde::Deserialize;

/// Files that the run must have, because its rows cannot be joined without them. A normalizer creates all files when a run
/// begins.
const NEEDED: [File; 2] = [File::Invocations, File::Calls];

/// The fields of `run_meta.json` that identify the run. The other fields may be damaged.
#[derive(Deserialize)]
struct Meta<'a> {
    #[serde(borrow)]
    run_id: Text<'a>,
    started_ts: Option<Milliseconds>,
    ended_ts: Option<Milliseconds>,
}

// Compile-time check: fails if CCTF renames one of these fields.
const _: [usize; 3] = [
    field_index(RunMeta::FIELDS, "run_id"),
    field_index(RunMeta::FIELDS, "started_ts"),
    field_index(RunMeta::FIELDS, "ended_ts"),
];

/// A run that will be added, with its parts.
#[derive(Debug)]
pub struct Input {
    /// Folder of the first part.
    pub path: PathBuf,
    pub run_id: String,
    pub parts: Vec<RunFolder>,
    pub started_ns: Option<i64>,
    /// `None` if the run has not ended.
    pub ended_ns: Option<i64>,
    /// Notes about missing parts and files, and a missing end.
    pub notes: Vec<String>,
}

impl Input {
    /// Opens a run with all its parts. `named` is the part whose path the user gave.
    ///
    /// # Errors
    /// A [`UsageError`] for a run that cannot be added; otherwise an I/O error.
    pub fn open(run: &Run, named: &Part) -> anyhow::Result<Self> {
        let parts = run.parts()?;
        let path = run.folder(parts.first().unwrap_or(named));
        let refusal = |cause: String| UsageError(format!("cannot export {}: {cause}", path.display()));
        let mut notes: Vec<String> = run.missing(&Part::first(run.id()))?.into_iter().collect();
        for part in &parts {
            check_part(run, part)?;
        }
        let Some(last) = parts.last() else {
            return Err(refusal("it does not exist; cctf ls shows the runs in a folder".to_owned()).into());
        };
        if lock_run(&run.folder(last))?.is_none() {
            let cause = "the run is being recorded; repeat the command after its end";
            return Err(refusal(cause.to_owned()).into());
        }
        if run.state(last)? != State::Ended {
            notes.push(format!(
                "{} has not ended: rows that its normalizer had not written are missing",
                last.folder()
            ));
        }
        let folders: Vec<RunFolder> = parts
            .iter()
            .map(|part| RunFolder::open(&run.folder(part)))
            .collect::<Result<_, _>>()?;
        let (mut run_id, mut started_ns, mut ended_ns) = (None, None, None);
        for folder in &folders {
            let meta = folder.whole(File::RunMeta, WHOLE_BYTES_MAX)?;
            let meta = meta.as_deref().map(serde_json::from_slice::<Meta<'_>>);
            let Some(Ok(meta)) = meta else {
                notes.push(format!(
                    "{} is missing or invalid",
                    folder.path(File::RunMeta).display()
                ));
                continue;
            };
            run_id.get_or_insert_with(|| meta.run_id.to_string());
            started_ns = started_ns.or(meta.started_ts.map(Milliseconds::as_ns));
            ended_ns = meta.ended_ts.map(Milliseconds::as_ns);
        }
        let run_id = run_id.unwrap_or_else(|| run.id().to_owned());
        if !is_valid_run_id(&run_id) {
            return Err(refusal(format!(
                "its run id {run_id:?} cannot be the name of a partition, because only letters, digits, '.', '_' and '-' can; \
                 cctf merge OUT {} --run-id ID makes a copy with another id",
                path.display()
            ))
            .into());
        }
        Ok(Self {
            run_id,
            path,
            parts: folders,
            started_ns,
            ended_ns,
            notes,
        })
    }

    /// Size of all files, bytes.
    pub fn bytes(&self) -> u64 {
        let size = |folder: &RunFolder| File::ALL.iter().map(|&file| folder.size(file)).sum::<u64>();
        self.parts.iter().map(size).sum()
    }

    /// Size of the files whose tables have buckets, bytes.
    pub fn bytes_in_buckets(&self) -> u64 {
        let size = |folder: &RunFolder| NEEDED.iter().map(|&file| folder.size(file)).sum::<u64>();
        self.parts.iter().map(size).sum()
    }

    /// The folders from which a file is exported. An inventory is exported from the last part only, because that contains all
    /// entries of earlier ones.
    pub fn folders(&self, file: File) -> &[RunFolder] {
        match file.shape() {
            Shape::Lines | Shape::Object => &self.parts,
            Shape::Array => match self.parts.iter().rposition(|part| part.path(file).is_file()) {
                Some(last) => &self.parts[last..=last],
                None => &[],
            },
        }
    }
}

fn check_part(run: &Run, part: &Part) -> anyhow::Result<()> {
    for file in NEEDED {
        let path = run.path(part, file);
        if fs::metadata(&path).is_err_and(|error| rundir::regular::is_missing(&error)) {
            return Err(UsageError(format!(
                "cannot export {}: it has no {}, so a data set of it would have no {}; restore the file or export another run",
                run.folder(part).display(),
                file.name(),
                file.stem()
            ))
            .into());
        }
    }
    Ok(())
}

/// Returns an error if two runs have the same id, or if the data set already has a run with such an id.
///
/// # Errors
/// A [`UsageError`].
pub fn check_ids<'a>(
    inputs: &[Input],
    existing: impl Iterator<Item = &'a str>,
    out: &Path,
) -> Result<(), UsageError> {
    let mut known: BTreeMap<&str, Option<&Path>> = existing.map(|run_id| (run_id, None)).collect();
    for input in inputs {
        let other = match known.insert(&input.run_id, Some(&input.path)) {
            None => continue,
            Some(Some(other)) if *other == *input.path => {
                return Err(UsageError(format!(
                    "{} is named twice: name each run once, and only one part of a long run",
                    input.path.display()
                )));
            }
            Some(Some(other)) => other.display().to_string(),
            Some(None) => format!("a run in {}", out.display()),
        };
        return Err(UsageError(format!(
            "{} and {other} have the same run id {}: cctf merge OUT {} --run-id ID makes a copy with another id",
            input.path.display(),
            input.run_id,
            input.path.display(),
        )));
    }
    Ok(())
}
