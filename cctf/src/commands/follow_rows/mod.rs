//! Following a run's file: from where to begin, over all parts of the run, to its end.
//!
//! [`columns`] prints a row as a line for people.

pub mod columns;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_proto::cctf::{File, LINE_BYTES_MAX, Part};

use rundir::ReadError;
use rundir::follow::{GrowingFile, last_lines};
use rundir::parts::{Next, Run, State, Target};

/// Pause between two looks at a file: short for a person, and next to nothing for a machine.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where in the run to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// With so many of the last lines that are there.
    LastLines(u64),
    /// With the first line that is there.
    FirstLine,
}

/// When to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Nothing more is there now.
    NoMore,
    /// The run has ended, and does not go on in another part.
    RunEnded,
    /// Somebody says so.
    Interrupted,
}

/// What to follow, and how.
#[derive(Debug, Clone)]
pub struct Follow {
    /// The run.
    pub target: Target,
    /// The file, one of lines.
    pub file: File,
    /// The first line.
    pub begin: Begin,
    /// The last line.
    pub until: Until,
}

/// Why a run could not be followed any further.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// Nothing is there, and nobody asked to wait for it.
    #[error("{0} is not there; name a run's folder such as logs/latest, or a run id to wait for it")]
    NotThere(PathBuf),
    /// It is not a run, or cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The rows could not be given on.
    #[error("cannot write the rows: {0}")]
    Write(io::Error),
    /// It was deleted while it was followed, and does not go on elsewhere.
    #[error("{0} was deleted before the run had ended")]
    Deleted(PathBuf),
}

/// Takes whole lines, each with its newline.
pub trait Sink {
    /// Writes one or more lines.
    ///
    /// # Errors
    /// If they cannot be written.
    fn lines(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// What is told besides the rows.
pub type Notice<'a> = &'a mut dyn FnMut(&str);

impl Follow {
    /// Gives the lines to `sink` until there is no reason to go on. Returns how many lines were left out, as too long.
    ///
    /// # Errors
    /// If the run is not there or cannot be read, or the lines cannot be written.
    pub fn run(&self, sink: &mut dyn Sink, notice: Notice<'_>, stop: &AtomicBool) -> Result<u64, TailError> {
        let Some((run, named)) = self.wait_for_run(notice, stop)? else {
            return Ok(0);
        };
        let (mut part, mut offset) = self.begin_of(&run, &named)?;
        let mut left_out = 0;
        loop {
            let mut rows = Rows {
                path: run.path(&part, self.file),
                offset,
                opened: None,
            };
            let next = self.read_part(&run, &part, &mut rows, sink, notice, stop)?;
            left_out += rows.opened.map_or(0, |opened| opened.skipped());
            let Some(next) = next else { return Ok(left_out) };
            notice(&format!("{} goes on in {}", part.folder(), next.folder()));
            (part, offset) = (next, 0);
        }
    }

    fn wait_for_run(&self, notice: Notice<'_>, stop: &AtomicBool) -> Result<Option<(Run, Part)>, TailError> {
        let mut is_told = false;
        while !stop.load(Ordering::Relaxed) {
            if let Some(found) = self.target.find()? {
                return Ok(Some(found));
            }
            let path = self.target.path();
            if self.until == Until::NoMore || !self.target.may_come() {
                return Err(TailError::NotThere(path));
            }
            if !std::mem::replace(&mut is_told, true) {
                notice(&format!("waiting for {}, which is not there yet", path.display()));
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(None)
    }

    /// The part to begin with, and the byte in it.
    fn begin_of(&self, run: &Run, named: &Part) -> Result<(Part, u64), TailError> {
        let parts = run.parts_from(named)?;
        let first = parts.first().unwrap_or(named);
        let Begin::LastLines(wanted) = self.begin else {
            return Ok((first.clone(), 0));
        };
        let mut missing = wanted;
        for part in parts.iter().rev() {
            let path = run.path(part, self.file);
            let (offset, found) = match last_lines(&path, missing) {
                Ok(found) => found,
                // It is not there yet, or was deleted since.
                Err(error) if error.kind() == io::ErrorKind::NotFound => (0, 0),
                Err(error) => return Err(ReadError::io(&path)(error).into()),
            };
            missing -= found;
            if missing == 0 || part == first {
                return Ok((part.clone(), offset));
            }
        }
        Ok((first.clone(), 0))
    }

    /// Reads one part to its end, and returns the next one; none if there is nothing more to come.
    fn read_part(
        &self,
        run: &Run,
        part: &Part,
        rows: &mut Rows,
        sink: &mut dyn Sink,
        notice: Notice<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<Part>, TailError> {
        let mut is_told = false;
        while !stop.load(Ordering::Relaxed) {
            // Looked at before the lines: what a closed part has is then all read.
            let state = run.state(part);
            if !rows.read_to_end(sink, notice, stop)? && state == State::Open {
                if self.until == Until::NoMore {
                    return Err(TailError::NotThere(rows.path.clone()));
                }
                if !std::mem::replace(&mut is_told, true) {
                    notice(&format!(
                        "waiting for {}, which is not there yet",
                        rows.path.display()
                    ));
                }
            }
            if state != State::Open || self.until == Until::NoMore {
                match (run.next(part)?, self.until) {
                    (Next::Part(next), _) => return Ok(Some(next)),
                    (_, Until::NoMore) => return Ok(None),
                    (Next::None, _) if state == State::Deleted => {
                        return Err(TailError::Deleted(run.folder(part)));
                    }
                    (Next::None, Until::RunEnded) => {
                        notice(&format!("{} has ended", part.folder()));
                        return Ok(None);
                    }
                    // The next part is being made, or the end is not to be the last word.
                    (Next::Undecided, _) | (Next::None, Until::Interrupted) => {}
                }
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(None)
    }
}

/// The file of one part.
struct Rows {
    path: PathBuf,
    /// Where to begin.
    offset: u64,
    /// None as long as it is not there.
    opened: Option<GrowingFile>,
}

impl Rows {
    /// Gives all whole lines that are there to `sink`. False if there is no such file.
    fn read_to_end(
        &mut self,
        sink: &mut dyn Sink,
        notice: Notice<'_>,
        stop: &AtomicBool,
    ) -> Result<bool, TailError> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            None => match GrowingFile::open(&self.path, self.offset) {
                Ok(opened) => self.opened.insert(opened),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(ReadError::io(&self.path)(error).into()),
            },
        };
        let left_out_before = opened.skipped();
        // A file that grows faster than it is read has no end.
        while !stop.load(Ordering::Relaxed) {
            match opened.next_lines().map_err(ReadError::io(&self.path))? {
                Some(lines) => sink.lines(lines).map_err(TailError::Write)?,
                None => break,
            }
        }
        let left_out = opened.skipped() - left_out_before;
        if left_out > 0 {
            let path = self.path.display();
            notice(&format!(
                "{path}: {left_out} lines of more than {LINE_BYTES_MAX} bytes were left out"
            ));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
