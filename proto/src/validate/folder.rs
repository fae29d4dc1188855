//! [`Folder`]: where a run's files are and how they are read; the only I/O of the validation.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::ValidateError;
use crate::cctf::{File, Part};

/// Large enough that system calls vanish beside the parsing.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// A folder that holds the files of the contract.
#[derive(Debug)]
pub(super) struct Folder {
    cctf: PathBuf,
}

/// One line of a file, without its newline.
pub(super) struct Line<'a> {
    /// From 1.
    pub number: u64,
    pub bytes: &'a [u8],
    pub ending: Ending,
}

/// What stands after a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ending {
    Newline,
    EndOfFile,
    /// The line is longer than the limit and was cut.
    Cut,
}

impl Folder {
    /// Finds the files below `dir`, which is a run's folder or the `cctf` folder in it.
    pub fn find(dir: &Path) -> Result<Self, ValidateError> {
        let read_error = |source| ValidateError::Read {
            path: dir.to_owned(),
            source,
        };
        // A link such as logs/latest says nothing of the run's name, by which its other parts are found.
        let dir = dir.canonicalize().map_err(read_error)?;
        let inside = dir.join("cctf");
        if inside.is_dir() {
            return Ok(Self { cctf: inside });
        }
        if dir.ends_with("cctf") || File::ALL.iter().any(|file| dir.join(file.name()).is_file()) {
            return Ok(Self { cctf: dir });
        }
        Err(ValidateError::NotARun { path: dir })
    }

    /// The bytes of a file, at most one more than `limit`; `None` when there is no such file.
    pub fn read_whole(&self, file: File, limit: usize) -> Result<Option<Vec<u8>>, ValidateError> {
        let path = self.cctf.join(file.name());
        let Some(opened) = open(&path)? else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        opened
            .take(limit as u64 + 1)
            .read_to_end(&mut bytes)
            .map_err(|source| ValidateError::Read { path, source })?;
        Ok(Some(bytes))
    }

    /// Hands every line of a file to `on_line`; false when there is no such file.
    pub fn each_line(
        &self,
        file: File,
        limit: usize,
        on_line: impl FnMut(Line<'_>),
    ) -> Result<bool, ValidateError> {
        let path = self.cctf.join(file.name());
        let Some(opened) = open(&path)? else {
            return Ok(false);
        };
        let reader = BufReader::with_capacity(READ_BUFFER_BYTES, opened);
        each_line(reader, limit, on_line).map_err(|source| ValidateError::Read { path, source })?;
        Ok(true)
    }

    /// The folders of the run's other parts: a long run rolls on to `<RUN_ID>-0002` and so on beside it. `told` is the
    /// later part that the folder says it is.
    pub fn other_parts(&self, told: Option<&Part>) -> Vec<Self> {
        let Some((logs, name)) = self.run() else {
            return Vec::new();
        };
        let first = self.first_part(told);
        // Parts that cannot be listed are parts that are not there: what they would resolve is then reported.
        let entries = fs::read_dir(logs).into_iter().flatten().flatten();
        let mut parts: Vec<_> = entries
            .filter(|entry| {
                let other = entry.file_name();
                let other = other.to_string_lossy();
                let is_later = Part::parse(&other).is_some_and(|(run_id, _)| *run_id == *first);
                *other != *name && (*other == *first || is_later)
            })
            .map(|entry| entry.path().join("cctf"))
            .filter(|cctf| cctf.is_dir())
            .collect();
        parts.sort();
        parts.into_iter().map(|cctf| Self { cctf }).collect()
    }

    /// Whether the folder is a later part of a run: it says so, or a run of which it can be one lies beside it.
    pub fn is_later_part(&self, told: Option<&Part>) -> bool {
        self.run()
            .is_some_and(|(_, name)| *name != *self.first_part(told))
    }

    /// Whether all parts before this one are there.
    pub fn has_all_before(&self, told: Option<&Part>) -> bool {
        let (Some((logs, _)), Some(told)) = (self.run(), told) else {
            return true;
        };
        let is_there = |folder: &str| logs.join(folder).is_dir();
        is_there(told.run_id())
            && (2..told.number()).all(|number| is_there(Part::later(told.run_id(), number).folder()))
    }

    fn first_part(&self, told: Option<&Part>) -> String {
        let Some((logs, name)) = self.run() else {
            return String::new();
        };
        if let Some(told) = told.filter(|told| told.folder() == name) {
            return told.run_id().to_owned();
        }
        match Part::parse(name) {
            Some((first, _)) if logs.join(first).is_dir() => first.to_owned(),
            _ => name.to_owned(),
        }
    }

    fn run(&self) -> Option<(&Path, &str)> {
        let run = self.cctf.parent()?;
        Some((run.parent()?, run.file_name()?.to_str()?))
    }
}

fn open(path: &Path) -> Result<Option<fs::File>, ValidateError> {
    match fs::File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(ValidateError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

fn each_line(mut reader: impl BufRead, limit: usize, mut on_line: impl FnMut(Line<'_>)) -> io::Result<()> {
    let mut buffer = Vec::new();
    for number in 1.. {
        buffer.clear();
        // One byte more than the limit, for the newline.
        let read = reader
            .by_ref()
            .take(limit as u64 + 1)
            .read_until(b'\n', &mut buffer)?;
        if read == 0 {
            break;
        }
        let ending = match buffer.pop_if(|last| *last == b'\n') {
            Some(_) => Ending::Newline,
            None if read > limit => Ending::Cut,
            None => Ending::EndOfFile,
        };
        on_line(Line {
            number,
            bytes: &buffer,
            ending,
        });
        if ending == Ending::Cut {
            reader.skip_until(b'\n')?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str, limit: usize) -> Vec<(u64, String, Ending)> {
        let mut lines = Vec::new();
        each_line(text.as_bytes(), limit, |line| {
            lines.push((
                line.number,
                String::from_utf8_lossy(line.bytes).into_owned(),
                line.ending,
            ));
        })
        .unwrap();
        lines
    }

    #[test]
    fn lines_are_numbered_and_know_how_they_end() {
        assert_eq!(
            lines("ab\n\ntoolong\ncd", 3),
            [
                (1, "ab".into(), Ending::Newline),
                (2, String::new(), Ending::Newline),
                (3, "tool".into(), Ending::Cut),
                (4, "cd".into(), Ending::EndOfFile),
            ]
        );
        assert_eq!(lines("abc\n", 3), [(1, "abc".into(), Ending::Newline)]);
    }
}
