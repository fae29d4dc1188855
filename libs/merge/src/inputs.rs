//! [`Input`]: a run folder that will be merged. [`LineLocation`]: where a line is in a folder.

use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File as CctfFile, RunMeta, WHOLE_BYTES_MAX, reason};
use rundir::{RunFolder, UsageError};

/// One folder, with its `run_meta.json`.
#[derive(Debug)]
pub struct Input {
    /// The path that the caller gave.
    pub path: PathBuf,
    folder: RunFolder,
    meta: Vec<u8>,
}

/// Location of a line in the folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LineLocation {
    /// Index of the folder.
    pub folder: u32,
    /// Offset of its first byte in the file.
    pub offset: u64,
    /// Length of the line without the newline, bytes.
    pub length: u32,
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

    pub fn run_meta(&self) -> anyhow::Result<RunMeta<'_>> {
        serde_json::from_slice(&self.meta).map_err(|error| {
            UsageError(format!(
                "cannot read {}: {}",
                self.folder.path(CctfFile::RunMeta).display(),
                reason(&error)
            ))
            .into()
        })
    }

    /// The bytes of `run_meta.json`.
    pub fn run_meta_raw(&self) -> &[u8] {
        &self.meta
    }

    pub fn folder(&self) -> &RunFolder {
        &self.folder
    }

    /// The content of a `.json` file. `None` if the file is missing.
    pub fn whole(&self, file: CctfFile) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.folder.whole(file, WHOLE_BYTES_MAX)?)
    }
}
