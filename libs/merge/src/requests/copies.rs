//! [`Copies`]: the lines of a bucket, copied while all lines are read. So the folders are read once, however many buckets there are.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::Context;
use cctf_sort::scratch::{CANNOT_WRITE, unnamed_file};

use crate::inputs::LineLocation;

/// Copied lines of one file of all folders.
pub struct Copies {
    file: File,
    /// Lines that are not written yet.
    held: Vec<u8>,
    written: u64,
}

/// Bytes written at once.
const WRITE_BYTES: usize = 256 << 10;

impl Copies {
    /// `scratch` is the folder of temporary files.
    pub fn new(scratch: &Path) -> anyhow::Result<Self> {
        Ok(Self {
            file: unnamed_file(scratch)?,
            held: Vec::new(),
            written: 0,
        })
    }

    /// Copies a line. Returns where the copy is.
    pub fn add(&mut self, line: &[u8]) -> anyhow::Result<LineLocation> {
        let location = LineLocation {
            folder: 0,
            offset: self.written + self.held.len() as u64,
            length: line.len() as u32,
        };
        self.held.extend_from_slice(line);
        if self.held.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(location)
    }

    fn flush(&mut self) -> anyhow::Result<()> {
        self.file
            .write_all_at(&self.held, self.written)
            .context(CANNOT_WRITE)?;
        self.written += self.held.len() as u64;
        self.held.clear();
        Ok(())
    }

    /// The file with all lines.
    pub fn finish(mut self) -> anyhow::Result<File> {
        self.flush()?;
        Ok(self.file)
    }
}
