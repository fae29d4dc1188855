//! Follows a file of a run: from a starting line, across all parts of the run, to its end.
//!
//! [`columns`] formats a row as a line of columns.

pub mod columns;

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_proto::cctf::{File, LINE_BYTES_MAX, Part};
use rundir::ReadError;
use rundir::follow::{GrowingFile, last_lines};
use rundir::parts::{Next, Run, State, Target};

/// Interval between two reads of a file: short for a person, cheap for a machine.
const READ_INTERVAL: Duration = Duration::from_millis(100);

/// The first line to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The first of the last N existing lines.
    LastLines(u64),
    FirstLine,
}

/// When to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At the end of the existing lines.
    NoMore,
    /// At the end of the run's last part.
    RunEnded,
    /// Only when interrupted.
    Interrupted,
}

/// The file to follow, from where and until when.
#[derive(Debug, Clone)]
pub struct Follow {
    pub target: Target,
    /// A file of lines.
    pub file: File,
    pub begin: Begin,
    pub until: Until,
}

/// A run that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// Nothing is there, and there is nothing to wait for.
    #[error(
        "cannot follow {0}: it does not exist; use a run's folder such as logs/latest, or a run id to wait for it"
    )]
    NotThere(PathBuf),
    /// It is not a run, or cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Standard output fails.
    #[error("cannot write the rows: {0}")]
    Write(io::Error),
    /// It was deleted while it was followed, and has no later part.
    #[error("cannot follow {0}: it was deleted before the run ended")]
    Deleted(PathBuf),
}

/// Receives whole lines, each with its newline.
pub trait Sink {
    /// Writes one or more lines.
    ///
    /// # Errors
    /// If they cannot be written.
    fn lines(&mut self, lines: &[u8]) -> io::Result<()>;
}

/// Receives messages for the user.
pub type Notice<'a> = &'a mut dyn FnMut(&str);

impl Follow {
    /// Passes the lines to `sink` until the end. Returns how many lines were skipped because they are too long.
    ///
    /// # Errors
    /// If the run does not exist or cannot be read, or if the lines cannot be written.
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
            notice(&format!("{} continues in {}", part.folder(), next.folder()));
            (part, offset) = (next, 0);
        }
    }

    fn wait_for_run(&self, notice: Notice<'_>, stop: &AtomicBool) -> Result<Option<(Run, Part)>, TailError> {
        let mut is_reported = false;
        while !stop.load(Ordering::Relaxed) {
            if let Some(found) = self.target.find()? {
                return Ok(Some(found));
            }
            let path = self.target.path();
            if self.until == Until::NoMore || !self.target.may_come() {
                return Err(TailError::NotThere(path));
            }
            if !std::mem::replace(&mut is_reported, true) {
                notice(&format!(
                    "waiting for {}, which does not exist yet",
                    path.display()
                ));
            }
            std::thread::sleep(READ_INTERVAL);
        }
        Ok(None)
    }

    /// The part and the byte offset of the first line.
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
                // It does not exist yet, or was deleted since.
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

    /// Reads one part to its end. Returns the next part; none if the run has ended.
    fn read_part(
        &self,
        run: &Run,
        part: &Part,
        rows: &mut Rows,
        sink: &mut dyn Sink,
        notice: Notice<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<Part>, TailError> {
        let mut is_reported = false;
        while !stop.load(Ordering::Relaxed) {
            // Read before the lines: after this, a closed part gets no more lines.
            let state = run.state(part);
            if !rows.read_to_end(sink, notice, stop)? && state == State::Open {
                if self.until == Until::NoMore {
                    return Err(TailError::NotThere(rows.path.clone()));
                }
                if !std::mem::replace(&mut is_reported, true) {
                    notice(&format!(
                        "waiting for {}, which does not exist yet",
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
                    // The next part is being created, or late rows are wanted.
                    (Next::Undecided, _) | (Next::None, Until::Interrupted) => {}
                }
            }
            std::thread::sleep(READ_INTERVAL);
        }
        Ok(None)
    }
}

/// The file of one part, from an offset.
struct Rows {
    path: PathBuf,
    offset: u64,
    /// None until the file exists.
    opened: Option<GrowingFile>,
}

impl Rows {
    /// Passes all whole lines to `sink`. False if the file does not exist.
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
        // A file that grows faster than it is read has no end, so the flag is checked.
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
                "{path}: skipped {left_out} lines of more than {LINE_BYTES_MAX} bytes"
            ));
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests;
