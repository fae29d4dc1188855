//! [`Input`]: a run folder that is merged.

use std::path::{Path, PathBuf};

use anyhow::ensure;
use cctf_proto::cctf::{File as CctfFile, LINE_BYTES_MAX, RunMeta, WHOLE_BYTES_MAX};
use rundir::{Ending, Line, Lines, RunFolder};

use rundir::UsageError;

/// One folder, with its `run_meta.json`.
#[derive(Debug)]
pub struct Input {
    /// As named by the caller.
    pub path: PathBuf,
    folder: RunFolder,
    meta: Vec<u8>,
}

impl Input {
    /// Opens the run in `path`: a run's folder, or the folder `cctf` in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = RunFolder::open(path).map_err(|error| UsageError(error.to_string()))?;
        let meta = folder.whole(CctfFile::RunMeta, WHOLE_BYTES_MAX)?;
        let meta = meta.ok_or_else(|| {
            UsageError(format!(
                "{} is not a run: it has no run_meta.json",
                path.display()
            ))
        })?;
        let input = Self {
            path: path.to_owned(),
            folder,
            meta,
        };
        input.run_meta()?;
        Ok(input)
    }

    /// The row of its `run_meta.json`.
    pub fn run_meta(&self) -> anyhow::Result<RunMeta<'_>> {
        serde_json::from_slice(&self.meta).map_err(|error| {
            UsageError(format!(
                "{}: run_meta.json cannot be read: {error}",
                self.path.display()
            ))
            .into()
        })
    }

    /// The bytes of its `run_meta.json`.
    pub fn run_meta_raw(&self) -> &[u8] {
        &self.meta
    }

    /// Its files.
    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// A file that is replaced whole; `None` if it is missing.
    pub fn whole(&self, file: CctfFile) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.folder.whole(file, WHOLE_BYTES_MAX)?)
    }
}

/// The next line. A line over the limit is an error: it cannot be merged, and leaving it out would lose a row.
pub fn next_line(lines: &mut Lines) -> anyhow::Result<Option<Line<'_>>> {
    let path = lines.path().to_owned();
    let line = lines.next_line()?;
    if let Some(line) = &line {
        ensure!(
            line.ending != Ending::TooLong,
            "{}:{}: longer than {LINE_BYTES_MAX} bytes",
            path.display(),
            line.number
        );
    }
    Ok(line)
}
