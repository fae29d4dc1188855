//! Follows a file of a run from a given line to the end of the run, across all parts of the run.
//!
//! [`columns`] formats a row as a line of columns.

pub mod columns;

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cctf_proto::cctf::{File, LINE_BYTES_MAX, Part};
use rundir::ReadError;
use rundir::follow::{GrowingFile, last_lines};
use rundir::parts::{Next, Run, State, Target};

/// Interval between two reads of a file. It is short for a person, and costs little CPU time.
pub const READ_INTERVAL: Duration = Duration::from_millis(100);

/// The first line to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// The first of the last N existing lines.
    LastLines(u64),
    FirstLine,
}

/// The point at which following ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// Following ends at the end of the existing lines.
    NoMore,
    /// Following ends at the end of the run's last part.
    RunEnded,
    /// Following ends only when the user interrupts it.
    Interrupted,
}

/// The file to follow, with its first line and its end.
#[derive(Debug, Clone)]
pub struct Follow {
    pub target: Target,
    /// A file of lines.
    pub file: File,
    pub begin: Begin,
    pub until: Until,
}

/// The reason why a run cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum TailError {
    /// The run does not exist, and cannot be waited for.
    #[error(
        "cannot follow {0}: it does not exist; use a run's folder such as logs/latest, or a run id to wait for it"
    )]
    NotThere(PathBuf),
    /// The path is not a run, or the run cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Standard output fails.
    #[error("cannot write to standard output: {0}")]
    Write(io::Error),
    /// The run was deleted while it was followed, and no later part exists.
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

/// A message to the user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// The run, or one of its files, does not exist yet.
    Waiting(PathBuf),
    /// The rows continue in the folder of a later part.
    Continues { from: String, to: String },
    /// The run has ended. Contains the name of its last folder.
    Ended(String),
    /// Lines of a file were skipped because they are too long.
    Skipped { path: PathBuf, lines: u64 },
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Waiting(path) => write!(f, "waiting for {}, which does not exist yet", path.display()),
            Self::Continues { from, to } => write!(f, "{from} continues in {to}"),
            Self::Ended(folder) => write!(f, "{folder} has ended"),
            Self::Skipped { path, lines } => write!(
                f,
                "{}: skipped {lines} lines of more than {LINE_BYTES_MAX} bytes",
                path.display()
            ),
        }
    }
}

/// Receives messages for the user.
pub type OnNotice<'a> = &'a mut dyn FnMut(&Notice);

impl Follow {
    /// Passes the lines to `sink` until the end. Returns the number of lines that were skipped because they are too long.
    ///
    /// # Errors
    /// If the run does not exist or cannot be read, or if the lines cannot be written.
    pub fn run(
        &self,
        sink: &mut dyn Sink,
        notice: OnNotice<'_>,
        stop: &AtomicBool,
    ) -> Result<u64, TailError> {
        let Some((run, named)) = self.wait_for_run(notice, stop)? else {
            return Ok(0);
        };
        let mut follower = self.follower(&run, &named)?;
        while !stop.load(Ordering::Relaxed) {
            match follower.step(sink, notice)? {
                Step::Lines => {}
                Step::Waiting => std::thread::sleep(READ_INTERVAL),
                Step::Ended(_) => break,
            }
        }
        Ok(follower.left_out())
    }

    /// The run and its first part to read; `None` if interrupted.
    ///
    /// # Errors
    /// If it does not exist and is not waited for, or cannot be read.
    pub fn wait_for_run(
        &self,
        notice: OnNotice<'_>,
        stop: &AtomicBool,
    ) -> Result<Option<(Run, Part)>, TailError> {
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
                notice(&Notice::Waiting(path));
            }
            std::thread::sleep(READ_INTERVAL);
        }
        Ok(None)
    }

    /// A follower of the file, which reads step by step.
    ///
    /// # Errors
    /// If the run cannot be read.
    pub fn follower(&self, run: &Run, named: &Part) -> Result<Follower, TailError> {
        let (part, offset) = self.begin_of(run, named)?;
        Ok(Follower {
            rows: Rows::new(run.path(&part, self.file), offset),
            file: self.file,
            until: self.until,
            run: run.clone(),
            part,
            left_out: 0,
            is_reported: false,
        })
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
                // The file does not exist yet, or was deleted in the meantime.
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
}

/// Result of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// There may be more lines right now.
    Lines,
    /// There are no new lines yet.
    Waiting,
    /// There are no more lines to read. Contains the state of the last part.
    Ended(State),
}

/// Follows one file across the parts of a run.
pub struct Follower {
    run: Run,
    file: File,
    until: Until,
    part: Part,
    rows: Rows,
    left_out: u64,
    /// Whether the user was informed that the file of the part is missing.
    is_reported: bool,
}

impl Follower {
    /// Passes the next lines to `sink`, if there are any. It must not be called after the end.
    ///
    /// # Errors
    /// If the run cannot be read or was deleted, or if the lines cannot be written.
    pub fn step(&mut self, sink: &mut dyn Sink, notice: OnNotice<'_>) -> Result<Step, TailError> {
        if self.pass(sink, notice)? == Read::Lines {
            return Ok(Step::Lines);
        }
        // The state is read before the last look at the file: a part that had ended by then gets no more lines.
        let state = self.run.state(&self.part)?;
        match self.pass(sink, notice)? {
            Read::Lines => return Ok(Step::Lines),
            Read::Missing if state == State::Open => self.report_missing(notice)?,
            Read::Missing | Read::NoMore => {}
        }
        if state == State::Open && self.until != Until::NoMore {
            return Ok(Step::Waiting);
        }
        match (self.run.next(&self.part)?, self.until) {
            (Next::Part(next), _) => {
                notice(&Notice::Continues {
                    from: self.part.folder().to_owned(),
                    to: next.folder().to_owned(),
                });
                self.rows = Rows::new(self.run.path(&next, self.file), 0);
                (self.part, self.is_reported) = (next, false);
                Ok(Step::Lines)
            }
            (_, Until::NoMore) => Ok(Step::Ended(state)),
            (Next::None, _) if state == State::Deleted => {
                Err(TailError::Deleted(self.run.folder(&self.part)))
            }
            (Next::None, Until::RunEnded) => {
                notice(&Notice::Ended(self.part.folder().to_owned()));
                Ok(Step::Ended(state))
            }
            // The next part is being created, or the user wants late rows.
            (Next::Undecided, _) | (Next::None, Until::Interrupted) => Ok(Step::Waiting),
        }
    }

    /// Number of lines that were skipped so far because they are too long.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    fn pass(&mut self, sink: &mut dyn Sink, notice: OnNotice<'_>) -> Result<Read, TailError> {
        let before = self.rows.skipped();
        let read = self.rows.pass(sink);
        let lines = self.rows.skipped() - before;
        if lines > 0 {
            self.left_out += lines;
            let path = self.rows.path.clone();
            notice(&Notice::Skipped { path, lines });
        }
        read
    }

    fn report_missing(&mut self, notice: OnNotice<'_>) -> Result<(), TailError> {
        let path = self.rows.path.clone();
        if self.until == Until::NoMore {
            return Err(TailError::NotThere(path));
        }
        if !std::mem::replace(&mut self.is_reported, true) {
            notice(&Notice::Waiting(path));
        }
        Ok(())
    }
}

/// The result of reading a file once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Read {
    Lines,
    NoMore,
    /// The file does not exist.
    Missing,
}

/// The file of one part, from an offset.
struct Rows {
    path: PathBuf,
    offset: u64,
    /// `None` as long as the file does not exist.
    opened: Option<GrowingFile>,
}

impl Rows {
    fn new(path: PathBuf, offset: u64) -> Self {
        Self {
            path,
            offset,
            opened: None,
        }
    }

    fn skipped(&self) -> u64 {
        self.opened.as_ref().map_or(0, GrowingFile::skipped)
    }

    /// Passes the next block of whole lines to `sink`.
    fn pass(&mut self, sink: &mut dyn Sink) -> Result<Read, TailError> {
        let opened = match &mut self.opened {
            Some(opened) => opened,
            None => match GrowingFile::open(&self.path, self.offset) {
                Ok(opened) => self.opened.insert(opened),
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Read::Missing),
                Err(error) => return Err(ReadError::io(&self.path)(error).into()),
            },
        };
        match opened.next_lines().map_err(ReadError::io(&self.path))? {
            Some(lines) => {
                sink.lines(lines).map_err(TailError::Write)?;
                Ok(Read::Lines)
            }
            None => Ok(Read::NoMore),
        }
    }
}

#[cfg(test)]
mod tests;
