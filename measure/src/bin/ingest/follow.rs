//! Reads the two large files of a run while they grow.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use cctf_proto::cctf::File;

use super::rows::Rows;

const PIECE_LEN: usize = 1 << 20;

/// Both files of a run, and the positions up to which they were read.
pub struct Follower {
    tails: [Tail; 2],
    pub rows: Rows,
}

impl Follower {
    /// Follows the files of a folder. The folder may not exist yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            tails: [File::Invocations, File::Calls].map(|file| Tail::new(folder, file)),
            rows: Rows::default(),
        }
    }

    /// Continues with the files of another folder.
    pub fn go_on_in(&mut self, folder: &Path) -> anyhow::Result<()> {
        for tail in &mut self.tails {
            ensure!(
                tail.pending.is_empty(),
                "{} ends in an incomplete line",
                tail.path.display()
            );
            *tail = Tail::new(folder, tail.file);
        }
        Ok(())
    }

    /// Reads new rows, and calls a function with the trace, the position and the time of each. Returns whether there were new
    /// rows.
    pub fn read(
        &mut self,
        mut each: impl FnMut(u64, usize, Instant) -> anyhow::Result<()>,
    ) -> anyhow::Result<bool> {
        let mut any = false;
        for tail in &mut self.tails {
            while tail.read_piece()? {
                let read_at = Instant::now();
                any = true;
                tail.take_lines(|file, line| {
                    let (trace, place) = self.rows.take(file, line)?;
                    each(trace, place, read_at)
                })?;
            }
        }
        Ok(any)
    }
}

/// A file, the position up to which it was read, and the incomplete line before this position.
struct Tail {
    file: File,
    path: PathBuf,
    open: Option<fs::File>,
    pending: Vec<u8>,
}

impl Tail {
    fn new(folder: &Path, file: File) -> Self {
        Self {
            file,
            path: folder.join(file.name()),
            open: None,
            pending: Vec::new(),
        }
    }

    /// Reads the next bytes of the file. Returns whether there were any.
    fn read_piece(&mut self) -> anyhow::Result<bool> {
        let context = || format!("cannot read {}", self.path.display());
        let open = match &mut self.open {
            Some(open) => open,
            None => match fs::File::open(&self.path) {
                Ok(open) => self.open.insert(open),
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(error).with_context(context),
            },
        };
        let piece = open.take(PIECE_LEN as u64).read_to_end(&mut self.pending);
        Ok(piece.with_context(context)? > 0)
    }

    fn take_lines(&mut self, mut take: impl FnMut(File, &[u8]) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let whole = memchr::memrchr(b'\n', &self.pending).map_or(0, |at| at + 1);
        let mut rest = &self.pending[..whole];
        while let Some(end) = memchr::memchr(b'\n', rest) {
            take(self.file, &rest[..end])?;
            rest = &rest[end + 1..];
        }
        self.pending.drain(..whole);
        Ok(())
    }
}
