//! [`Siblings`]: the other parts of a run, found by the names of their folders alone.

use std::fs;
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, LINE_BYTES_MAX, Part, RunMeta};

use crate::regular::is_folder;
use crate::{CCTF, ReadError, RunFolder};

/// The other parts of the run to which a folder belongs. Unlike [`Run`](crate::parts::Run), it also finds parts with a missing
/// or invalid `run_meta.json`, because a validation must check these, too.
pub struct Siblings {
    /// The folder of all runs, and the name of this folder; `None` if the path does not have both.
    place: Option<(PathBuf, String)>,
    /// The part that `run_meta.json` states, unless it is the first one.
    part: Option<Part>,
    /// Folder name of the run's first part.
    first: String,
}

impl Siblings {
    /// `part` is the part that the `run_meta.json` of `folder` states, unless it is the first one.
    ///
    /// # Errors
    /// If the folder of the first part cannot be read.
    pub fn new(folder: &RunFolder, part: Option<&Part>) -> Result<Self, ReadError> {
        let place = folder.cctf().parent().and_then(|run| {
            let name = run.file_name()?.to_str()?;
            Some((run.parent()?.to_owned(), name.to_owned()))
        });
        let first = match &place {
            Some((logs, name)) => first_part(logs, name, part)?,
            None => String::new(),
        };
        Ok(Self {
            first,
            place,
            part: part.cloned(),
        })
    }

    /// Whether the folder is a later part of a run: either its `run_meta.json` states this, or the first part of a matching run
    /// is beside it.
    pub fn is_later_part(&self) -> bool {
        self.place.as_ref().is_some_and(|(_, name)| *name != self.first)
    }

    /// The folders of the other parts, in the order of their names.
    ///
    /// # Errors
    /// If the parts cannot be listed.
    pub fn folders(&self) -> Result<Vec<RunFolder>, ReadError> {
        let Some((logs, name)) = &self.place else {
            return Ok(Vec::new());
        };
        let mut parts: Vec<PathBuf> = Vec::new();
        for entry in fs::read_dir(logs).map_err(ReadError::io(logs))? {
            let entry = entry.map_err(ReadError::io(logs))?;
            let other = entry.file_name();
            let other = other.to_string_lossy();
            let is_later = Part::parse(&other).is_some_and(|(run_id, _)| run_id == self.first);
            let is_part = *other != **name && (*other == *self.first || is_later);
            if is_part && is_folder(&entry.path().join(CCTF))? {
                parts.push(entry.path());
            }
        }
        parts.sort();
        Ok(parts.into_iter().map(RunFolder::from_run).collect())
    }

    /// Whether missing rows may be in a part that was deleted, or may still be written to a part that has not ended.
    ///
    /// # Errors
    /// If a part cannot be read.
    pub fn may_have_more_rows(&self) -> Result<bool, ReadError> {
        if self.is_earlier_part_missing()? {
            return Ok(true);
        }
        for folder in self.folders()? {
            let meta = match folder.whole(File::RunMeta, LINE_BYTES_MAX) {
                Err(ReadError::TooLarge { .. }) => None,
                read => read?,
            };
            let meta = meta.as_deref().map(serde_json::from_slice::<RunMeta<'_>>);
            if let Some(Ok(meta)) = meta
                && meta.part.is_some()
                && meta.ended_ts.is_none()
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn is_earlier_part_missing(&self) -> Result<bool, ReadError> {
        let (Some((logs, _)), Some(part)) = (&self.place, &self.part) else {
            return Ok(false);
        };
        let first = std::iter::once(Part::first(part.run_id()));
        for earlier in first.chain((2..part.number()).map(|number| Part::later(part.run_id(), number))) {
            if !is_folder(&logs.join(earlier.folder()))? {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn first_part(logs: &Path, name: &str, part: Option<&Part>) -> Result<String, ReadError> {
    if let Some(part) = part.filter(|part| part.folder() == name) {
        return Ok(part.run_id().to_owned());
    }
    Ok(match Part::parse(name) {
        Some((first, _)) if is_folder(&logs.join(first))? => first.to_owned(),
        _ => name.to_owned(),
    })
}
