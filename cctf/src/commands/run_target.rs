//! Finds the run that an argument means: a folder, a run id, or the newest run.

use std::path::Path;

use cctf_proto::cctf::Part;
use cctf_proto::keys::{self, LATEST_LINK};
use rundir::ReadError;
use rundir::parts::{Run, Target};

use super::UsageError;

/// The run that a name means. A name with a slash is a folder. So is a name of an existing folder, if no run has this id.
pub fn target(named: Option<&str>, logs_dir: &Path) -> Result<Target, UsageError> {
    Ok(match named {
        // An unset variable in a script must not select a run.
        Some("") => {
            let message = "the name of the run is empty: use a run id, the path to a folder, or latest";
            return Err(UsageError(message.to_owned()));
        }
        None | Some(LATEST_LINK) => Target::Latest(logs_dir.to_owned()),
        Some(path) if path.contains('/') => Target::Folder(path.into()),
        // If `logs_dir` has such a run but it cannot be read, the run is still used: opening it will report the reason.
        Some(name) if Path::new(name).is_dir() && matches!(logs_dir.join(name).try_exists(), Ok(false)) => {
            Target::Folder(name.into())
        }
        // The folder name of a later part is accepted, too.
        Some(id) if Part::parse(id).is_some_and(|(run_id, _)| keys::is_valid_run_id(run_id)) => {
            Target::RunId(logs_dir.to_owned(), id.to_owned())
        }
        Some(id) => Target::RunId(logs_dir.to_owned(), keys::parse_run_id(id).map_err(UsageError)?),
    })
}

/// The run that a name means, and the first part to read.
///
/// # Errors
/// [`UsageError`] if the run does not exist. Another error if it cannot be read.
pub fn find(named: Option<&str>, logs_dir: &Path) -> anyhow::Result<(Run, Part)> {
    let target = target(named, logs_dir)?;
    match target.find() {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(UsageError(format!(
            "cannot find run {}: it does not exist, or has no files yet; cctf ls shows the runs in a folder",
            target.path().display()
        ))
        .into()),
        Err(error @ (ReadError::NotARun { .. } | ReadError::PartOfMerge { .. })) => {
            Err(UsageError(error.to_string()).into())
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_a_run_id_and_what_has_a_slash_a_folder() {
        let logs = tempfile::tempdir().unwrap();
        let target_of = |named| target(named, logs.path());
        let latest = || Target::Latest(logs.path().to_owned());
        assert_eq!(target_of(None).unwrap(), latest());
        let empty = target_of(Some("")).unwrap_err().to_string();
        assert!(empty.starts_with("the name of the run is empty"), "{empty}");
        assert_eq!(target_of(Some("latest")).unwrap(), latest());
        assert_eq!(
            target_of(Some("logs/r")).unwrap(),
            Target::Folder("logs/r".into())
        );
        assert_eq!(
            target_of(Some("r-1")).unwrap(),
            Target::RunId(logs.path().to_owned(), "r-1".to_owned())
        );
        // Tests run in the crate's folder, which contains a folder src.
        assert_eq!(target_of(Some("src")).unwrap(), Target::Folder("src".into()));
        std::fs::create_dir(logs.path().join("src")).unwrap();
        assert!(matches!(target_of(Some("src")).unwrap(), Target::RunId(..)));
        assert!(
            target_of(Some(".hidden"))
                .unwrap_err()
                .to_string()
                .contains("run id")
        );
        assert_eq!(
            target_of(Some("r-0002")).unwrap(),
            Target::RunId(logs.path().to_owned(), "r-0002".to_owned())
        );
    }
}
