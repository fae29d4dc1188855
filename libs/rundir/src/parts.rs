//! The parts of a run: the folders into which a long run is split, identified by their `run_meta.json`.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Part, Row, RunMeta, field_index};
use cctf_proto::keys::LATEST_LINK;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::regular::{self, is_folder, look};
use crate::{CCTF, ReadError};

/// Maximum number of bytes read of a `run_meta.json`, which has a few thousand.
const META_BYTES_MAX: u64 = 1 << 20;
/// Maximum number of gaps that the text of [`Run::missing`] lists. A gap is a range of missing parts.
const GAPS_SHOWN_MAX: usize = 8;

/// A run as specified by a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// The newest run in a folder of runs.
    Latest(PathBuf),
    /// The run with this id in a folder of runs.
    RunId(PathBuf, String),
    /// A run folder, or the folder `cctf` in it.
    Folder(PathBuf),
}

impl Target {
    /// The path at which the run is expected.
    pub fn path(&self) -> PathBuf {
        match self {
            Self::Latest(logs_dir) => logs_dir.join(LATEST_LINK),
            Self::RunId(logs_dir, id) => logs_dir.join(id),
            Self::Folder(folder) => folder.clone(),
        }
    }

    /// Whether the run may appear later. A path to a missing folder is considered a typo.
    pub fn may_come(&self) -> bool {
        !matches!(self, Self::Folder(_))
    }

    /// The run and the first part to read; `None` if the run does not exist.
    ///
    /// # Errors
    /// If the path is not a run folder, or cannot be read.
    pub fn find(&self) -> Result<Option<(Run, Part)>, ReadError> {
        let path = self.path();
        match path.canonicalize() {
            Ok(folder) => match (self, Run::identify(&folder)?) {
                // A run folder appears shortly before its run_meta.json.
                (_, Found::Unsure(_) | Found::Nothing) if self.may_come() => Ok(None),
                (_, Found::Nothing) => Err(ReadError::NotARun { path }),
                (Self::Latest(_), Found::Sure((run, _))) => Ok(Some(run.at_first_part())),
                (_, Found::Sure(found) | Found::Unsure(found)) => Ok(Some(found)),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => self.find_later_parts(),
            Err(error) => Err(ReadError::io(&path)(error)),
        }
    }

    /// Finds a run whose first part has been deleted.
    fn find_later_parts(&self) -> Result<Option<(Run, Part)>, ReadError> {
        let Self::RunId(logs_dir, id) = self else {
            return Ok(None);
        };
        if !is_folder(logs_dir)? {
            return Ok(None);
        }
        let (run, first) = Run::new(logs_dir, id).at_first_part();
        let parts = run.parts_from(&first)?;
        Ok((!parts.is_empty()).then_some((run, first)))
    }
}

/// The identity of a folder.
enum Found {
    /// The folder is this part of this run.
    Sure((Run, Part)),
    /// `run_meta.json` is missing, and the folder's name ends like that of a later part (`-0002`). So this can be the first part
    /// of a run with exactly this name, or a later part of the run with the shorter name.
    Unsure((Run, Part)),
    /// Not a run folder.
    Nothing,
}

/// A run with all of its parts.
#[derive(Debug, Clone)]
pub struct Run {
    logs_dir: PathBuf,
    id: String,
}

/// State of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// More rows may follow.
    Open,
    /// No more rows follow.
    Ended,
    /// The folder no longer exists.
    Deleted,
}

/// The successor of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// There is no further part.
    None,
    /// A folder has a matching name, but no `run_meta.json` yet.
    Undecided,
    /// The next part.
    Part(Part),
}

/// The fields of `run_meta.json` that identify a part.
#[derive(Deserialize)]
struct Meta {
    run_id: String,
    part: Option<u64>,
    ended_ts: Option<IgnoredAny>,
}

// Compile-time check: fails if CCTF renames one of these fields.
const _: [usize; 3] = [
    field_index(RunMeta::FIELDS, "run_id"),
    field_index(RunMeta::FIELDS, "part"),
    field_index(RunMeta::FIELDS, "ended_ts"),
];

impl Meta {
    /// `None` if it is missing or invalid.
    fn read(folder: &Path) -> Result<Option<Self>, ReadError> {
        let path = folder.join(CCTF).join(File::RunMeta.name());
        let read = regular::open(&path).and_then(|file| {
            let mut text = Vec::new();
            file.take(META_BYTES_MAX).read_to_end(&mut text)?;
            Ok(text)
        });
        match read {
            Ok(text) => Ok(serde_json::from_slice(&text).ok()),
            Err(error) if regular::is_missing(&error) => Ok(None),
            Err(error) => Err(ReadError::io(&path)(error)),
        }
    }

    fn is_of(&self, part: &Part) -> bool {
        self.run_id == part.run_id() && self.part.unwrap_or(1) == part.number()
    }
}

impl Run {
    /// The run with this id, whose folders are in `logs_dir`.
    pub fn new(logs_dir: &Path, id: &str) -> Self {
        Self {
            logs_dir: logs_dir.to_owned(),
            id: id.to_owned(),
        }
    }

    /// The run and part of a folder, or of the folder `cctf` in it.
    fn identify(path: &Path) -> Result<Found, ReadError> {
        let folder = match is_folder(&path.join(CCTF))? {
            true => Some(path),
            false if path.ends_with(CCTF) && is_folder(path)? => path.parent(),
            false => None,
        };
        let place = folder.and_then(|folder| {
            let name = folder.file_name()?.to_str()?;
            Some((folder, folder.parent()?, name))
        });
        let Some((folder, logs_dir, name)) = place else {
            return Ok(Found::Nothing);
        };
        let Some(meta) = Meta::read(folder)? else {
            let first = (Self::new(logs_dir, name), Part::first(name));
            return Ok(match Part::parse(name) {
                Some(_) => Found::Unsure(first),
                None => Found::Sure(first),
            });
        };
        let named = match meta.part {
            Some(number) if number > 1 => Part::later(&meta.run_id, number),
            _ => Part::first(&meta.run_id),
        };
        // A folder with another name was copied or moved. It is treated as a separate run.
        let part = if named.folder() == name {
            named
        } else {
            Part::first(name)
        };
        Ok(Found::Sure((Self::new(logs_dir, part.run_id()), part)))
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

    /// The id, or the folder's name if the folder was renamed.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// All existing parts, in order.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn parts(&self) -> Result<Vec<Part>, ReadError> {
        self.parts_from(&Part::first(&self.id))
    }

    /// The existing parts from `from` on, in order. Folders without a valid run_meta.json are left out, because they may belong
    /// to another run.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn parts_from(&self, from: &Part) -> Result<Vec<Part>, ReadError> {
        let mut parts = Vec::new();
        if is_folder(&self.folder(from))? {
            parts.push(from.clone());
        }
        for number in self.numbers_after(from)? {
            let candidate = Part::later(&self.id, number);
            if self.is_sure(&candidate)? == Some(true) {
                parts.push(candidate);
            }
        }
        Ok(parts)
    }

    /// A sentence about the missing parts from `from` on; `None` if there are none. An existing folder without a valid
    /// run_meta.json counts as a missing part if a part follows it, or if it directly follows the last part.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn missing(&self, from: &Part) -> Result<Option<String>, ReadError> {
        let is_there = is_folder(&self.folder(from))?;
        let mut begin = from.number().saturating_add(u64::from(is_there));
        let (mut gaps, mut unsure, mut trailing) = (Vec::new(), Vec::new(), None);
        for number in self.numbers_after(from)? {
            let Some(is_of_run) = self.is_sure(&Part::later(&self.id, number))? else {
                trailing = trailing.or((number == begin && unsure.is_empty()).then_some((number, number)));
                continue;
            };
            if begin < number {
                unsure.push((begin, number - 1));
            }
            begin = number.saturating_add(1);
            if is_of_run {
                gaps.append(&mut unsure);
                trailing = None;
            }
        }
        gaps.extend(trailing);
        let range = |(begin, end): &(u64, u64)| match begin == end {
            true => begin.to_string(),
            false => format!("{begin} to {end}"),
        };
        let mut shown: Vec<String> = gaps.iter().take(GAPS_SHOWN_MAX).map(range).collect();
        if gaps.len() > GAPS_SHOWN_MAX {
            shown.push("others".to_owned());
        }
        let (parts, state) = match gaps.as_slice() {
            [] => return Ok(None),
            [(begin, end)] if begin == end => ("part", "is missing or has no valid run_meta.json"),
            _ => ("parts", "are missing or have no valid run_meta.json"),
        };
        Ok(Some(format!(
            "{parts} {} of {} {state}",
            shown.join(", "),
            self.id
        )))
    }

    /// The successor of a part. Numbers can be missing: a part was deleted, or a number was skipped because the folder's name
    /// is the id of another run.
    ///
    /// # Errors
    /// If the folder of all runs cannot be read.
    pub fn next(&self, part: &Part) -> Result<Next, ReadError> {
        for number in self.numbers_after(part)? {
            let candidate = Part::later(&self.id, number);
            match self.is_sure(&candidate)? {
                Some(true) => return Ok(Next::Part(candidate)),
                Some(false) => {}
                None => return Ok(Next::Undecided),
            }
        }
        Ok(Next::None)
    }

    /// The numbers of the later parts that have a folder, in ascending order.
    fn numbers_after(&self, part: &Part) -> Result<Vec<u64>, ReadError> {
        let entries = fs::read_dir(&self.logs_dir).map_err(ReadError::io(&self.logs_dir))?;
        let mut numbers = Vec::new();
        for entry in entries {
            let name = entry.map_err(ReadError::io(&self.logs_dir))?.file_name();
            match name.to_str().and_then(Part::parse) {
                Some((run_id, number)) if run_id == self.id && number > part.number() => numbers.push(number),
                _ => {}
            }
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Whether a folder is that part, and not a different run; `None` without a valid run_meta.json.
    fn is_sure(&self, candidate: &Part) -> Result<Option<bool>, ReadError> {
        let meta = Meta::read(&self.folder(candidate))?;
        Ok(meta.map(|meta| meta.is_of(candidate)))
    }

    /// The state of a part. If its folder exists without a valid `run_meta.json`, the part counts as open.
    ///
    /// # Errors
    /// If its `run_meta.json` cannot be read.
    pub fn state(&self, part: &Part) -> Result<State, ReadError> {
        let folder = self.folder(part);
        Ok(match Meta::read(&folder)? {
            Some(meta) if meta.ended_ts.is_some() => State::Ended,
            Some(_) => State::Open,
            None if look(&folder)?.is_some() => State::Open,
            None => State::Deleted,
        })
    }
}
