//! The normalizer's own run id, which stays the same over restarts in the same folder.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use cctf_proto::keys;

/// Keeps the id beside the runs.
const RUN_ID_FILE: &str = ".normalizer-run-id";

/// Why there is no own run id.
#[derive(Debug, thiserror::Error)]
pub enum RunIdError {
    /// The file cannot be read or written.
    #[error("cannot read or write {}: {source}, give --run-id instead", path.display())]
    Io {
        /// The file that keeps it.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody wrote something else there.
    #[error("no run id in {}, remove the file or give --run-id", path.display())]
    Invalid {
        /// The file that keeps it.
        path: PathBuf,
    },
}

/// The id that is kept in this folder; on the first start, the time and some letters of chance.
pub fn own_run_id(out_dir: &Path) -> Result<String, RunIdError> {
    let path = out_dir.join(RUN_ID_FILE);
    match fs::read_to_string(&path) {
        Ok(kept) if keys::is_valid_run_id(kept.trim_end()) => Ok(kept.trim_end().to_owned()),
        Ok(_) => Err(RunIdError::Invalid { path }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let run_id = keys::default_run_id(&utc_stamp(SystemTime::now()), chance());
            write_whole(&path, &run_id).map_err(|source| RunIdError::Io { path, source })?;
            Ok(run_id)
        }
        Err(source) => Err(RunIdError::Io { path, source }),
    }
}

/// Differs between processes that start at the same time.
fn chance() -> u64 {
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
    let (year, month, day) = civil_date(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}")
}

/// Year, month and day of a day since 1970 (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn civil_date(days_since_1970: u64) -> (u64, u64, u64) {
    let days = days_since_1970 + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_stamp_is_the_utc_date_and_time() {
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
    fn ids_of_first_starts_in_one_second_differ() {
        let ids: std::collections::HashSet<String> = (0..100)
            .map(|_| own_run_id(tempfile::tempdir().unwrap().path()).unwrap())
            .collect();
        assert_eq!(ids.len(), 100);
    }

    #[test]
    fn the_id_survives_restarts_and_a_strange_one_is_not_used() {
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
