//! [`Job`]: an export in progress, with its folder, assumptions and progress.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rundir::output::{LinesOut, write_whole};

use crate::assumptions::Assumptions;

/// Receives the number of things done and their total. Returns whether to continue.
pub type OnProgress<'a> = &'a mut dyn FnMut(u64, u64) -> bool;

/// An export that a target is writing.
pub struct Job<'a> {
    pub assumptions: Assumptions,
    folder: PathBuf,
    progress: OnProgress<'a>,
}

impl<'a> Job<'a> {
    /// `folder` is an existing empty folder. It becomes the export if the target succeeds.
    pub fn new(folder: PathBuf, progress: OnProgress<'a>) -> Self {
        Self {
            assumptions: Assumptions::default(),
            folder,
            progress,
        }
    }

    /// The folder of the export in progress.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The path of a new file. Missing folders on the path are created.
    ///
    /// # Errors
    /// An I/O error.
    pub fn path(&self, name: &str) -> anyhow::Result<PathBuf> {
        let path = self.folder.join(name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(|| format!("cannot create {}", parent.display()))?;
        }
        Ok(path)
    }

    /// A new file of lines.
    ///
    /// # Errors
    /// An I/O error.
    pub fn lines(&self, name: &str) -> anyhow::Result<LinesOut> {
        LinesOut::create(&self.path(name)?)
    }

    /// Writes a whole file.
    ///
    /// # Errors
    /// An I/O error.
    pub fn text(&self, name: &str, text: &str) -> anyhow::Result<()> {
        self.bytes(name, text.as_bytes())
    }

    /// Writes a whole file that is not text.
    ///
    /// # Errors
    /// An I/O error.
    pub fn bytes(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        write_whole(&self.path(name)?, bytes)
    }

    /// Reports progress.
    ///
    /// # Errors
    /// If the user stops the export.
    pub fn advance(&mut self, done: u64, total: u64) -> anyhow::Result<()> {
        match (self.progress)(done, total) {
            true => Ok(()),
            false => Err(io::Error::other("interrupted; nothing was written").into()),
        }
    }
}
