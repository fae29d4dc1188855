//! [`Claimed`]: the folder of a new run. No other command can use it until this command ends.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

/// A folder that cannot be used for a run.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    #[error("cannot write to {path}: {source}; choose another folder with --logs-dir")]
    Unwritable { path: PathBuf, source: io::Error },
    /// The folder contains another run.
    #[error(
        "cannot write to {0}: it already exists and is not empty; choose another --run-id, or move that run"
    )]
    Taken(PathBuf),
    #[error("cannot write to {0}: another command writes a run to it now; choose another --run-id")]
    InUse(PathBuf),
}

/// The folder of a run, locked until this is dropped.
#[derive(Debug)]
pub struct Claimed {
    /// Absolute path to the folder of all runs.
    pub logs_dir: PathBuf,
    run_dir: PathBuf,
    _lock: Option<File>,
}

impl Drop for Claimed {
    fn drop(&mut self) {
        // The removal fails if the run has files. So only an empty folder is removed, which a command leaves if it fails early.
        let _ = fs::remove_dir(&self.run_dir);
    }
}

/// Creates the folder of run `run_id`, in the folder of all runs. Fails if it has files, or if another command uses it.
pub fn prepare(logs_dir: &Path, run_id: &str) -> Result<Claimed, FolderError> {
    let unwritable = |source| FolderError::Unwritable {
        path: logs_dir.to_owned(),
        source,
    };
    fs::create_dir_all(logs_dir).map_err(unwritable)?;
    // Checked by writing: root can write despite missing permissions, and nobody can write to a read-only mount.
    tempfile::tempfile_in(logs_dir).map_err(unwritable)?;
    let logs_dir = fs::canonicalize(logs_dir).map_err(unwritable)?;
    let run_dir = logs_dir.join(run_id);
    if run_dir.is_file() {
        return Err(FolderError::Taken(run_dir));
    }
    fs::create_dir_all(&run_dir).map_err(unwritable)?;
    // The lock must be taken before the folder is checked. Otherwise two commands that start at once would both find an empty
    // folder. A file system without locks is still accepted.
    let lock = File::open(&run_dir).ok();
    let locked = lock.as_ref().map(File::try_lock);
    if matches!(locked, Some(Err(TryLockError::WouldBlock))) {
        return Err(FolderError::InUse(run_dir));
    }
    if fs::read_dir(&run_dir).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(FolderError::Taken(run_dir));
    }
    Ok(Claimed {
        logs_dir,
        run_dir,
        _lock: lock,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_anything_in_it_is_taken() {
        let logs = tempfile::tempdir().unwrap();
        let folder = logs.path().join("r");
        assert!(prepare(logs.path(), "r").is_ok());
        assert!(!folder.exists(), "an unused folder is removed");
        fs::create_dir(&folder).unwrap();
        assert!(prepare(logs.path(), "r").is_ok());
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("x"), "").unwrap();
        assert!(matches!(prepare(logs.path(), "r"), Err(FolderError::Taken(_))));
        assert!(folder.join("x").exists());
    }

    #[test]
    fn of_two_commands_that_start_at_once_only_one_gets_the_folder() {
        let logs = tempfile::tempdir().unwrap();
        let first = prepare(logs.path(), "r").unwrap();
        let second = prepare(logs.path(), "r").unwrap_err().to_string();
        assert!(
            second.contains("another command writes a run to it now"),
            "{second}"
        );
        assert!(prepare(logs.path(), "s").is_ok());
        drop(first);
        assert!(prepare(logs.path(), "r").is_ok());
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
