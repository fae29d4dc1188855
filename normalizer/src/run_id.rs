//! The id of the normalizer's own run. It stays the same when the normalizer is restarted in the same folder.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cctf_proto::keys;
use jiff::Timestamp;

/// File with the id, in the folder of all runs.
const RUN_ID_FILE: &str = ".normalizer-run-id";

/// The reason why the id of the own run is unknown.
#[derive(Debug, thiserror::Error)]
pub enum RunIdError {
    #[error("cannot read or write {}: {source}; set --run-id instead", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("cannot use the run id in {}: it is invalid; remove the file or set --run-id", path.display())]
    Invalid { path: PathBuf },
}

/// The id stored in this folder. The first start creates it from the time and random letters.
pub fn own_run_id(out_dir: &Path) -> Result<String, RunIdError> {
    let path = out_dir.join(RUN_ID_FILE);
    match fs::read_to_string(&path) {
        Ok(kept) if keys::is_valid_run_id(kept.trim_end()) => Ok(kept.trim_end().to_owned()),
        Ok(_) => Err(RunIdError::Invalid { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let run_id = keys::default_run_id(&utc_stamp(SystemTime::now()), random());
            write_whole(&path, &run_id).map_err(|source| RunIdError::Io { path, source })?;
            Ok(run_id)
        }
        Err(source) => Err(RunIdError::Io { path, source }),
    }
}

/// A random number, so that ids of processes that start in the same second differ.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

fn write_whole(path: &Path, run_id: &str) -> io::Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", std::process::id()));
    fs::write(&temporary, format!("{run_id}\n"))?;
    fs::rename(&temporary, path)
}

/// `YYYYMMDD-HHMMSS`.
fn utc_stamp(time: SystemTime) -> String {
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    // A time beyond the year 9999 is replaced by the last valid time.
    let timestamp = Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX);
    timestamp.strftime("%Y%m%d-%H%M%S").to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_timestamp_is_the_utc_date_and_time() {
        for (seconds, stamp) in [
            (0, "19700101-000000"),
            (951_782_399, "20000228-235959"),
            (951_782_400, "20000229-000000"),
            (1_709_251_199, "20240229-235959"),
            (1_763_894_700, "20251123-104500"),
            (4_107_542_399, "21000228-235959"),
        ] {
            assert_eq!(utc_stamp(UNIX_EPOCH + Duration::from_secs(seconds)), stamp);
        }
    }

    #[test]
    fn ids_of_first_starts_in_the_same_second_differ() {
        let ids: std::collections::HashSet<String> = (0..100)
            .map(|_| own_run_id(tempfile::tempdir().unwrap().path()).unwrap())
            .collect();
        assert_eq!(ids.len(), 100);
    }

    #[test]
    fn the_id_survives_restarts_and_an_invalid_one_is_not_used() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(RUN_ID_FILE);
        let first = own_run_id(folder.path()).unwrap();
        assert!(keys::is_valid_run_id(&first));
        fs::write(&path, "kept\n").unwrap();
        assert_eq!(own_run_id(folder.path()).unwrap(), "kept");
        fs::write(&path, "../up\n").unwrap();
        assert!(matches!(
            own_run_id(folder.path()),
            Err(RunIdError::Invalid { .. })
        ));
    }
}
