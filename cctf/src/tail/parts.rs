//! Which folders a run's rows are in: a run that goes on for very long is split, and `run_meta.json` tells of what.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Part};
use cctf_proto::keys::LATEST_LINK;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::TailError;

/// The folder that a run's files are in.
const CCTF: &str = "cctf";
/// Most that is read of a `run_meta.json`, which has a few thousand bytes.
const META_BYTES_MAX: u64 = 1 << 20;

/// What was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The newest run below a folder.
    Latest(PathBuf),
    /// The run of that id below a folder.
    RunId(PathBuf, String),
    /// A run's folder, or the folder cctf in it.
    Folder(PathBuf),
}

impl Target {
    /// Where it is looked for.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Latest(logs_dir) => logs_dir.join(LATEST_LINK),
            Self::RunId(logs_dir, id) => logs_dir.join(id),
            Self::Folder(folder) => folder.clone(),
        }
    }

    /// Whether it is named so that it can be waited for. A folder that is not there is a slip of the pen.
    pub fn may_come(&self) -> bool {
        !matches!(self, Self::Folder(_))
    }

    /// The run, and the part to begin with; none if it is not there.
    ///
    /// # Errors
    /// If what is there is no run, or cannot be read.
    pub fn find(&self) -> Result<Option<(Run, Part)>, TailError> {
        let path = self.path();
        match path.canonicalize() {
            Ok(folder) => match (self, Run::of_folder(&folder)) {
                // A run's folder is there a moment before what it says about itself.
                (_, Found::Unsure(_) | Found::Nothing) if self.may_come() => Ok(None),
                (_, Found::Nothing) => Err(TailError::NotARun(path)),
                (Self::Latest(_), Found::Sure((run, _))) => Ok(Some(run.at_first_part())),
                (_, Found::Sure(found) | Found::Unsure(found)) => Ok(Some(found)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.find_later_parts(),
            Err(error) => Err(TailError::read(&path)(error)),
        }
    }

    /// A run of which the first part has been deleted.
    fn find_later_parts(&self) -> Result<Option<(Run, Part)>, TailError> {
        let Self::RunId(logs_dir, id) = self else {
            return Ok(None);
        };
        if !logs_dir.is_dir() {
            return Ok(None);
        }
        let (run, first) = Run::new(logs_dir, id).at_first_part();
        let parts = run.parts_from(&first)?;
        Ok((!parts.is_empty()).then_some((run, first)))
    }
}

/// What a folder is found to be.
enum Found {
    /// This part of this run.
    Sure((Run, Part)),
    /// This, unless it is a later part that does not say so yet.
    Unsure((Run, Part)),
    /// No run's.
    Nothing,
}

/// A run, wherever its parts are.
#[derive(Debug, Clone)]
pub struct Run {
    logs_dir: PathBuf,
    id: String,
}

/// How it stands with a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Rows may come.
    Open,
    /// It has an end.
    Ended,
    /// Its folder is not there any more.
    Deleted,
}

/// What comes after a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// Nothing.
    None,
    /// A folder of that name, which does not say yet what it is.
    Undecided,
    /// This one.
    Part(Part),
}

/// What a run's folder says about itself.
#[derive(Deserialize)]
struct Meta {
    run_id: String,
    part: Option<u64>,
    ended_ts: Option<IgnoredAny>,
}

impl Meta {
    /// None if it is not there, or cannot be understood: then nobody knows anything about the folder.
    fn read(folder: &Path) -> Option<Self> {
        let file = fs::File::open(folder.join(CCTF).join(File::RunMeta.name())).ok()?;
        let mut text = Vec::new();
        file.take(META_BYTES_MAX).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }

    fn is_of(&self, part: &Part) -> bool {
        self.run_id == part.run_id() && self.part.unwrap_or(1) == part.number()
    }
}

impl Run {
    /// The run of that id whose folders are below `logs_dir`.
    pub fn new(logs_dir: &Path, id: &str) -> Self {
        Self {
            logs_dir: logs_dir.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The run and part of which this is the folder, or the folder cctf in it.
    fn of_folder(path: &Path) -> Found {
        let folder = match path.join(CCTF).is_dir() {
            true => Some(path),
            false => path.parent().filter(|_| path.ends_with(CCTF) && path.is_dir()),
        };
        let named = folder.and_then(|folder| {
            let name = folder.file_name()?.to_str()?;
            Some((folder, folder.parent()?, name))
        });
        let Some((folder, logs_dir, name)) = named else {
            return Found::Nothing;
        };
        let Some(meta) = Meta::read(folder) else {
            let first = (Self::new(logs_dir, name), Part::first(name));
            return match Part::parse(name) {
                Some(_) => Found::Unsure(first),
                None => Found::Sure(first),
            };
        };
        let told = match meta.part {
            Some(number) if number > 1 => Part::later(&meta.run_id, number),
            _ => Part::first(&meta.run_id),
        };
        // A folder that has another name than it says was copied or moved: it stands for itself.
        let part = if told.folder() == name {
            told
        } else {
            Part::first(name)
        };
        Found::Sure((Self::new(logs_dir, part.run_id()), part))
    }

    fn at_first_part(self) -> (Self, Part) {
        let first = Part::first(&self.id);
        (self, first)
    }

    /// The folder of a part.
    pub fn folder(&self, part: &Part) -> PathBuf {
        self.logs_dir.join(part.folder())
    }

    /// A file of a part.
    pub fn path(&self, part: &Part, file: File) -> PathBuf {
        self.folder(part).join(CCTF).join(file.name())
    }

    /// The parts that are there, from such a one on, in order.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn parts_from(&self, from: &Part) -> Result<Vec<Part>, TailError> {
        let mut parts = Vec::new();
        if self.folder(from).is_dir() {
            parts.push(from.clone());
        }
        let mut after = from.clone();
        while let Next::Part(next) = self.next(&after)? {
            parts.push(next.clone());
            after = next;
        }
        Ok(parts)
    }

    /// What comes after a part. Numbers can be missing: of parts that were deleted, and where another run has the name.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn next(&self, part: &Part) -> Result<Next, TailError> {
        let entries = fs::read_dir(&self.logs_dir).map_err(TailError::read(&self.logs_dir))?;
        let mut numbers: Vec<u64> = entries
            .flatten()
            .filter_map(|entry| {
                let name = entry.file_name();
                let (run_id, number) = Part::parse(name.to_str()?)?;
                (run_id == self.id && number > part.number()).then_some(number)
            })
            .collect();
        numbers.sort_unstable();
        for number in numbers {
            let candidate = Part::later(&self.id, number);
            match Meta::read(&self.folder(&candidate)) {
                Some(meta) if meta.is_of(&candidate) => return Ok(Next::Part(candidate)),
                Some(_) => {}
                None => return Ok(Next::Undecided),
            }
        }
        Ok(Next::None)
    }

    /// How it stands with a part.
    pub fn state(&self, part: &Part) -> State {
        let folder = self.folder(part);
        match Meta::read(&folder) {
            Some(meta) if meta.ended_ts.is_some() => State::Ended,
            Some(_) => State::Open,
            None if folder.exists() => State::Open,
            None => State::Deleted,
        }
    }
}
