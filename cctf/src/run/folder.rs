//! The run's folder: whether it is free before, and what is in it after.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File, Shape};

/// Name of the driver's file.
pub const EVENTS_CLIENT: &str = "events_client.jsonl";
/// Bytes read at once when lines are counted.
const READ_BYTES: usize = 256 * 1024;

/// Why a folder cannot take a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or written.
    #[error("cannot write to {path}: {source}; choose another folder with --logs-dir")]
    Unwritable {
        /// The folder of all runs.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds another run.
    #[error("{0} already exists and is not empty: choose another --run-id, or move that run away")]
    Taken(PathBuf),
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Makes the folder of all runs and returns its absolute path, if `run_id` is free in it.
pub fn prepare(logs_dir: &Path, run_id: &str) -> Result<PathBuf, FolderError> {
    let unwritable = |source| FolderError::Unwritable {
        path: logs_dir.to_owned(),
        source,
    };
    fs::create_dir_all(logs_dir).map_err(unwritable)?;
    // Asks the file system, because root may write where the permission bits say otherwise, and a read-only mount is the reverse.
    tempfile::tempfile_in(logs_dir).map_err(unwritable)?;
    let run_dir = logs_dir.join(run_id);
    let taken = fs::read_dir(&run_dir).is_ok_and(|mut entries| entries.next().is_some()) || run_dir.is_file();
    if taken {
        return Err(FolderError::Taken(run_dir));
    }
    fs::canonicalize(logs_dir).map_err(unwritable)
}

/// What one file holds.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Content {
    /// Path inside the run's folder.
    pub file: String,
    /// Rows: lines, or entries of an array, or 1 for an object.
    pub rows: u64,
    /// Size, bytes.
    pub bytes: u64,
}

/// The files of a run and their rows; a file that is not there is left out.
pub fn contents(run_dir: &Path) -> Result<Vec<Content>, FolderError> {
    let of_contract = File::ALL
        .iter()
        .map(|file| (format!("cctf/{}", file.name()), file.shape()));
    let mut found = Vec::new();
    for (file, shape) in of_contract.chain([(EVENTS_CLIENT.to_owned(), Shape::Lines)]) {
        let path = run_dir.join(&file);
        let unreadable = |source| FolderError::Unreadable {
            path: path.clone(),
            source,
        };
        if !path.exists() {
            continue;
        }
        let rows = match shape {
            Shape::Lines => count_lines(&path).map_err(unreadable)?,
            Shape::Array => count_entries(&path).map_err(unreadable)?,
            Shape::Object => 1,
        };
        found.push(Content {
            file,
            rows,
            bytes: fs::metadata(&path).map_err(unreadable)?.len(),
        });
    }
    Ok(found)
}

fn count_lines(path: &Path) -> io::Result<u64> {
    let mut file = fs::File::open(path)?;
    let mut buffer = vec![0; READ_BYTES];
    let mut lines = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(lines),
            count => lines += buffer[..count].iter().filter(|byte| **byte == b'\n').count() as u64,
        }
    }
}

fn count_entries(path: &Path) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    let entries: Vec<&serde_json::value::RawValue> = serde_json::from_str(&text)?;
    Ok(entries.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_anything_in_it_is_taken() {
        let logs = tempfile::tempdir().unwrap();
        assert!(prepare(logs.path(), "r").is_ok());
        fs::create_dir(logs.path().join("r")).unwrap();
        assert!(prepare(logs.path(), "r").is_ok());
        fs::write(logs.path().join("r/x"), "").unwrap();
        assert!(matches!(prepare(logs.path(), "r"), Err(FolderError::Taken(_))));
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_told_with_its_way_out() {
        let error = prepare(Path::new("/proc/no/logs"), "r").unwrap_err().to_string();
        assert!(
            error.contains("/proc/no/logs") && error.contains("--logs-dir"),
            "{error}"
        );
    }

    #[test]
    fn rows_are_lines_entries_or_one_object() {
        let run = tempfile::tempdir().unwrap();
        fs::create_dir(run.path().join("cctf")).unwrap();
        fs::write(run.path().join("cctf/invocations.jsonl"), "{}\n{}\n").unwrap();
        fs::write(run.path().join("cctf/nodes.json"), "[{},{},{}]").unwrap();
        fs::write(run.path().join("cctf/run_meta.json"), "{}").unwrap();
        let rows: Vec<(String, u64)> = contents(run.path())
            .unwrap()
            .into_iter()
            .map(|content| (content.file, content.rows))
            .collect();
        let expected = [
            ("cctf/invocations.jsonl", 2),
            ("cctf/nodes.json", 3),
            ("cctf/run_meta.json", 1),
        ];
        assert_eq!(rows, expected.map(|(file, rows)| (file.to_owned(), rows)));
    }
}
