//! Checks before a run that its folder is free.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A folder that cannot be used for a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot write to {path}: {source}; choose another folder with --logs-dir")]
    Unwritable { path: PathBuf, source: io::Error },
    /// It contains another run.
    #[error(
        "cannot write to {0}: it already exists and is not empty; choose another --run-id, or move that run"
    )]
    Taken(PathBuf),
}

/// Creates the folder of all runs and returns its absolute path, if it contains no run `run_id`.
pub fn prepare(logs_dir: &Path, run_id: &str) -> Result<PathBuf, FolderError> {
    let unwritable = |source| FolderError::Unwritable {
        path: logs_dir.to_owned(),
        source,
    };
    fs::create_dir_all(logs_dir).map_err(unwritable)?;
    // A test by writing: root may write despite permission bits, and nobody may on a read-only mount.
    tempfile::tempfile_in(logs_dir).map_err(unwritable)?;
    let run_dir = logs_dir.join(run_id);
    let taken = fs::read_dir(&run_dir).is_ok_and(|mut entries| entries.next().is_some()) || run_dir.is_file();
    if taken {
        return Err(FolderError::Taken(run_dir));
    }
    fs::canonicalize(logs_dir).map_err(unwritable)
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
    fn an_impossible_folder_is_reported_with_a_remedy() {
        let error = prepare(Path::new("/proc/no/logs"), "r").unwrap_err().to_string();
        assert!(
            error.contains("/proc/no/logs") && error.contains("--logs-dir"),
            "{error}"
        );
    }
}
