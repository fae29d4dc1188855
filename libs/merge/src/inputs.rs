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
    /// The folder of invocations and calls, if it is another one.
    rows: Option<RunFolder>,
    meta: Vec<u8>,
}

/// Opens folders. Each folder must be given only once: otherwise its rows would be counted twice.
///
/// # Errors
/// A [`UsageError`] if a folder is not a run or is given twice; otherwise an I/O error.
pub fn open_all(paths: &[PathBuf]) -> anyhow::Result<Vec<Input>> {
    let mut opened: Vec<Input> = Vec::new();
    for path in paths {
        let input = Input::open(path)?;
        let mut same = opened
            .iter()
            .filter(|other| other.folder.cctf() == input.folder.cctf());
        if let Some(same) = same.next() {
            return Err(UsageError(format!(
                "cannot merge {} and {}: they are the same folder",
                same.path.display(),
                input.path.display()
            ))
            .into());
        }
        opened.push(input);
    }
    Ok(opened)
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

/// Index that no folder has.
const NO_FOLDER: u32 = u32::MAX;

impl LineLocation {
    /// The place of a row that has no line yet: the range of its record in the bytes of its trace.
    pub fn in_no_folder(offset: u64, length: u32) -> Self {
        Self {
            folder: NO_FOLDER,
            offset,
            length,
        }
    }

    pub fn is_in_folder(&self) -> bool {
        self.folder != NO_FOLDER
    }
}

impl Input {
    /// Opens the run in `path`: a run's folder, or the folder `cctf` in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let folder = RunFolder::open(path).map_err(|error| UsageError(error.to_string()))?;
        Self::from_folder(path, folder)
    }

    /// Opens a folder of derived files, whose invocations and calls are elsewhere.
    pub fn open_rests(path: &Path, rows: Option<&Path>) -> anyhow::Result<Self> {
        let open = |path: &Path| RunFolder::open_part(path).map_err(|error| UsageError(error.to_string()));
        let mut input = Self::from_folder(path, open(path)?)?;
        input.rows = rows.map(open).transpose()?;
        Ok(input)
    }

    fn from_folder(path: &Path, folder: RunFolder) -> anyhow::Result<Self> {
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
            rows: None,
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

    /// The folder that has a file.
    pub fn folder_of(&self, file: CctfFile) -> &RunFolder {
        match file {
            CctfFile::Invocations | CctfFile::Calls => self.rows.as_ref().unwrap_or(&self.folder),
            _ => &self.folder,
        }
    }

    /// The content of a `.json` file. `None` if the file is missing.
    pub fn whole(&self, file: CctfFile) -> anyhow::Result<Option<Vec<u8>>> {
        Ok(self.folder.whole(file, WHOLE_BYTES_MAX)?)
    }
}
