//! [`Input`]: a run's folder that is merged: found, described, read line by line.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::Context;
use cctf_proto::cctf::{File as CctfFile, LINE_BYTES_MAX, RunMeta, Shape, WHOLE_BYTES_MAX};

use crate::commands::UsageError;
use crate::run::folder::EVENTS_CLIENT;

/// Read at once.
const READ_BYTES: usize = 512 << 10;

/// One folder.
#[derive(Debug)]
pub struct Input {
    /// As it was named.
    pub path: PathBuf,
    cctf: PathBuf,
    /// The run's folder, which may have the driver's file.
    run: Option<PathBuf>,
    meta: Vec<u8>,
}

impl Input {
    /// Finds the files of a run below `path`, which is its folder or the folder `cctf` in it.
    pub fn open(path: &Path) -> anyhow::Result<Self> {
        let canonical = path
            .canonicalize()
            .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())))?;
        let inside = canonical.join("cctf");
        let (cctf, run) = match inside.is_dir() {
            true => (inside, Some(canonical)),
            false => (canonical, None),
        };
        let mut input = Self {
            path: path.to_owned(),
            cctf,
            run,
            meta: Vec::new(),
        };
        input.meta = input
            .whole(CctfFile::RunMeta)?
            .ok_or_else(|| UsageError(format!("{} is no run: it has no run_meta.json", path.display())))?;
        input.run_meta()?;
        Ok(input)
    }

    /// What it says of the run.
    pub fn run_meta(&self) -> anyhow::Result<RunMeta<'_>> {
        serde_json::from_slice(&self.meta).map_err(|error| {
            UsageError(format!(
                "{}: run_meta.json cannot be read: {error}",
                self.path.display()
            ))
            .into()
        })
    }

    /// The same as it is written.
    pub fn run_meta_raw(&self) -> &[u8] {
        &self.meta
    }

    /// The folder that the files lie in.
    pub fn folder(&self) -> &Path {
        &self.cctf
    }

    /// Bytes of the files that are read line by line.
    pub fn bytes(&self) -> u64 {
        let lines = CctfFile::ALL.iter().filter(|file| file.shape() == Shape::Lines);
        lines.map(|&file| self.bytes_of(file)).sum()
    }

    /// Bytes of a file.
    pub fn bytes_of(&self, file: CctfFile) -> u64 {
        std::fs::metadata(self.cctf.join(file.name())).map_or(0, |data| data.len())
    }

    /// A file that is replaced whole; `None` if it is not there.
    pub fn whole(&self, file: CctfFile) -> anyhow::Result<Option<Vec<u8>>> {
        let path = self.cctf.join(file.name());
        let opened = match File::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let mut bytes = Vec::new();
        let read = opened.take(WHOLE_BYTES_MAX as u64 + 1).read_to_end(&mut bytes);
        read.with_context(|| format!("read {}", path.display()))?;
        anyhow::ensure!(
            bytes.len() <= WHOLE_BYTES_MAX,
            "{} has more than {WHOLE_BYTES_MAX} bytes, which a merge does not hold",
            path.display()
        );
        Ok(Some(bytes))
    }

    /// Where a file lies.
    pub fn path_of(&self, file: CctfFile) -> PathBuf {
        self.cctf.join(file.name())
    }

    /// The lines of a file; none if it is not there.
    pub fn lines(&self, file: CctfFile) -> anyhow::Result<Option<Lines>> {
        Lines::open(self.cctf.join(file.name()))
    }

    /// The lines of the driver's file.
    pub fn events_client(&self) -> anyhow::Result<Option<Lines>> {
        match &self.run {
            Some(run) => Lines::open(run.join(EVENTS_CLIENT)),
            None => Ok(None),
        }
    }
}

/// The lines of a file, one after the other, through one buffer.
pub struct Lines {
    path: PathBuf,
    file: File,
    held: Vec<u8>,
    begin: usize,
    end: usize,
    /// Bytes of lines handed out.
    pub read: u64,
    /// Lines handed out.
    pub number: u64,
    is_at_end: bool,
}

/// One line.
pub struct Line<'a> {
    /// Where it begins in the file.
    pub at: u64,
    /// Without its newline.
    pub bytes: &'a [u8],
    /// Whether it has one: the last may be half a line, of a run that is being written or was killed.
    pub is_whole: bool,
}

impl Lines {
    fn open(path: PathBuf) -> anyhow::Result<Option<Self>> {
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        Ok(Some(Self {
            path,
            file,
            held: vec![0; READ_BYTES],
            begin: 0,
            end: 0,
            read: 0,
            number: 0,
            is_at_end: false,
        }))
    }

    /// Where the line that was handed out last stands, for messages.
    pub fn place(&self) -> String {
        format!("{}:{}", self.path.display(), self.number)
    }

    /// The next line.
    pub fn next_line(&mut self) -> anyhow::Result<Option<Line<'_>>> {
        let mut searched = 0;
        loop {
            let found = memchr::memchr(b'\n', &self.held[self.begin + searched..self.end]);
            if let Some(length) = found {
                let begin = self.begin;
                let end = begin + searched + length;
                let at = self.read;
                self.begin = end + 1;
                self.read += (end + 1 - begin) as u64;
                self.number += 1;
                return Ok(Some(Line {
                    at,
                    bytes: &self.held[begin..end],
                    is_whole: true,
                }));
            }
            searched = self.end - self.begin;
            if self.is_at_end {
                if searched == 0 {
                    return Ok(None);
                }
                let (begin, end) = (self.begin, self.end);
                let at = self.read;
                self.begin = end;
                self.read += searched as u64;
                self.number += 1;
                return Ok(Some(Line {
                    at,
                    bytes: &self.held[begin..end],
                    is_whole: false,
                }));
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> anyhow::Result<()> {
        self.held.copy_within(self.begin..self.end, 0);
        self.end -= self.begin;
        self.begin = 0;
        if self.end == self.held.len() {
            anyhow::ensure!(
                self.held.len() < LINE_BYTES_MAX,
                "{}:{}: longer than {LINE_BYTES_MAX} bytes",
                self.path.display(),
                self.number + 1
            );
            self.held.resize(2 * self.held.len(), 0);
        }
        let read = self.file.read(&mut self.held[self.end..]);
        let read = read.with_context(|| format!("read {}", self.path.display()))?;
        self.is_at_end = read == 0;
        self.end += read;
        Ok(())
    }
}
