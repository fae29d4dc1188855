//! Reads the two large files of a run while they grow, as whoever tails them does.

use std::fs;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};
use cctf_proto::cctf::File;

use super::rows::Rows;

const PIECE_LEN: usize = 1 << 20;

/// Both files of a run, read as far as they went.
pub struct Follower {
    tails: [Tail; 2],
    /// What was read.
    pub rows: Rows,
}

impl Follower {
    /// Follows the files in a folder, which need not be there yet.
    pub fn new(folder: &Path) -> Self {
        Self {
            tails: [File::Invocations, File::Calls].map(|file| Tail::new(folder, file)),
            rows: Rows::default(),
        }
    }

    /// Goes on with the files of another folder.
    ///
    /// # Errors
    /// If a file has ended in half a line.
    pub fn go_on_in(&mut self, folder: &Path) -> anyhow::Result<()> {
        for tail in &mut self.tails {
            ensure!(
                tail.pending.is_empty(),
                "{} ends in half a line",
                tail.path.display()
            );
            *tail = Tail::new(folder, tail.file);
        }
        Ok(())
    }

    /// Reads what has been written since; tells of each row its trace, its place, and when it was read. True if there was
    /// something.
    ///
    /// # Errors
    /// If a file cannot be read, or a row is not as it has to be.
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

/// One file: where it is read, and the half line at the end of what was.
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

    /// False if there is nothing new.
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
