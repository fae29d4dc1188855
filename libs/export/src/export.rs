//! [`run`]: writes the export of a run for a target. The folder appears only when it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rundir::output::{OutFolder, write_whole};
use serde::Serialize;

use crate::assumptions::Assumption;
use crate::counts::Counts;
use crate::job::{Job, OnProgress};
use crate::source::Source;

/// The file that lists the assumptions of an export.
const ASSUMPTIONS_FILE: &str = "assumptions.json";

/// The format of another tool.
pub trait Target {
    /// The name of the target on the command line.
    const NAME: &'static str;

    /// Writes all files of the export. Returns counts of their contents.
    ///
    /// # Errors
    /// If the run cannot be expressed, or an I/O error.
    fn write(&self, source: &Source<'_>, job: &mut Job<'_>) -> anyhow::Result<Counts>;

    /// The command that uses the export at this path, as one line.
    fn next(&self, out: &Path) -> String;
}

/// The folder of an export, and whether assumptions that can make results wrong are allowed.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// The folder of the export. It must not exist.
    pub out: &'a Path,
    /// Refuse the export if an assumption can make results wrong.
    pub is_strict: bool,
}

/// The result of an export.
#[derive(Debug, Serialize)]
pub struct Summary {
    pub target: &'static str,
    pub run_id: String,
    pub out: PathBuf,
    pub counts: Counts,
    pub files: Vec<FileSize>,
    pub assumptions: Vec<Assumption>,
    pub next: String,
}

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct FileSize {
    /// Path of the file within the export.
    pub name: String,
    pub bytes: u64,
}

#[derive(Serialize)]
struct AssumptionsFile<'a> {
    target: &'static str,
    run_id: &'a str,
    counts: Counts,
    assumptions: &'a [Assumption],
}

/// Exports a run.
///
/// # Errors
/// A [`rundir::UsageError`] if the folder exists or cannot be created, [`crate::Refused`], an error of the target, or an I/O
/// error. In each case nothing is written.
pub fn run<T: Target>(
    target: &T,
    source: &Source<'_>,
    options: Options<'_>,
    progress: OnProgress<'_>,
) -> anyhow::Result<Summary> {
    let next = |out: &Path| target.next(out);
    write_export((T::NAME, source.run.id()), options, progress, next, |job| {
        target.write(source, job)
    })
}

/// The steps of [`run`], for a target that needs no plan: `write` writes all files and returns counts of their contents, and
/// `next` is the command that uses them.
///
/// # Errors
/// As [`run`].
pub fn write_export(
    (target, run_id): (&'static str, &str),
    options: Options<'_>,
    progress: OnProgress<'_>,
    next: impl FnOnce(&Path) -> String,
    write: impl FnOnce(&mut Job<'_>) -> anyhow::Result<Counts>,
) -> anyhow::Result<Summary> {
    let out = OutFolder::create(options.out)?;
    let folder = out.run();
    fs::create_dir(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut job = Job::new(folder.clone(), progress);
    let counts = write(&mut job)?;
    let assumptions = job.assumptions;
    if options.is_strict {
        assumptions.refuse(run_id)?;
    }
    let mut text = serde_json::to_string_pretty(&AssumptionsFile {
        target,
        run_id,
        counts,
        assumptions: &assumptions.list,
    })?;
    text.push('\n');
    write_whole(&folder.join(ASSUMPTIONS_FILE), text.as_bytes())?;
    let mut files = Vec::new();
    list_files(&folder, "", &mut files).with_context(|| format!("cannot read {}", folder.display()))?;
    files.sort();
    out.finish_folder()?;
    Ok(Summary {
        target,
        run_id: run_id.to_owned(),
        out: options.out.to_owned(),
        counts,
        files,
        assumptions: assumptions.list,
        next: next(options.out),
    })
}

fn list_files(folder: &Path, prefix: &str, files: &mut Vec<FileSize>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let data = entry.metadata()?;
        match data.is_dir() {
            true => list_files(&entry.path(), &format!("{name}/"), files)?,
            false => files.push(FileSize {
                name,
                bytes: data.len(),
            }),
        }
    }
    Ok(())
}
