//! Checks the folder of all runs before the first write. It must be writable, no file may block a needed name, and the checks
//! find out whether its file system distinguishes upper and lower case.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cctf_proto::keys::LATEST_LINK;
use cctf_proto::log_line;

/// New name of a file or folder with the name of the link to the newest run, `latest`. If the new name is in use, a number is
/// appended.
const MOVED_TO: &str = "was-latest";

/// A folder that is ready for runs.
#[derive(Debug, PartialEq, Eq)]
pub struct OutDir {
    /// Whether the file system ignores case in names.
    pub ignores_case: bool,
}

/// Creates the folder and checks that it is writable. So a problem is reported at the start, and not when the first span
/// arrives.
pub fn prepare(out_dir: &Path) -> io::Result<OutDir> {
    let probe = out_dir.join(format!(".tmp-probe-{}", std::process::id()));
    let in_capitals = out_dir.join(format!(".TMP-PROBE-{}", std::process::id()));
    fs::create_dir_all(out_dir)?;
    fs::write(&probe, "")?;
    let ignores_case = in_capitals.try_exists();
    fs::remove_file(&probe)?;
    free_the_link(out_dir)?;
    Ok(OutDir {
        ignores_case: ignores_case?,
    })
}

/// Renames a file or folder that has the name of the link to the newest run. The link replaces only links, so such a file or
/// folder would make every start fail.
fn free_the_link(out_dir: &Path) -> io::Result<()> {
    let latest = out_dir.join(LATEST_LINK);
    match fs::symlink_metadata(&latest) {
        Ok(found) if !found.is_symlink() => {}
        Ok(_) => return Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    }
    let moved_to = free_name(out_dir)?;
    fs::rename(&latest, &moved_to)?;
    log_line!(
        "warning: renamed {} to {}: the old name is reserved for the link to the newest run",
        latest.display(),
        moved_to.display()
    );
    Ok(())
}

fn free_name(out_dir: &Path) -> io::Result<PathBuf> {
    let mut candidate = out_dir.join(MOVED_TO);
    for number in 2_u64.. {
        // A dangling link also blocks the name.
        match fs::symlink_metadata(&candidate) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
            Ok(_) => candidate = out_dir.join(format!("{MOVED_TO}-{number}")),
        }
    }
    Ok(candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_name_of_the_link_is_renamed_and_a_link_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for moved_to in ["was-latest", "was-latest-2", "was-latest-3"] {
            fs::create_dir_all(path("latest/cctf")).unwrap();
            fs::write(path("latest/cctf/calls.jsonl"), moved_to).unwrap();
            prepare(folder.path()).unwrap();
            assert!(!path("latest").exists());
            let kept = fs::read_to_string(path(moved_to).join("cctf/calls.jsonl"));
            assert_eq!(kept.unwrap(), moved_to);
        }
        std::os::unix::fs::symlink("gone", path("latest")).unwrap();
        prepare(folder.path()).unwrap();
        assert_eq!(fs::read_link(path("latest")).unwrap(), Path::new("gone"));
    }

    #[test]
    fn a_file_system_that_finds_a_name_in_capitals_ignores_case() {
        let folder = tempfile::tempdir().unwrap();
        let in_capitals = format!(".TMP-PROBE-{}", std::process::id());
        fs::write(folder.path().join(in_capitals), "").unwrap();
        assert!(prepare(folder.path()).unwrap().ignores_case);
    }

    #[test]
    fn a_new_folder_is_created_and_left_empty() {
        let folder = tempfile::tempdir().unwrap();
        let out_dir = folder.path().join("a/b");
        // Depends on the file system; most on Linux distinguish case.
        let names_differ = !folder.path().join("A").exists();
        assert_eq!(prepare(&out_dir).unwrap().ignores_case, !names_differ);
        assert_eq!(fs::read_dir(&out_dir).unwrap().count(), 0);
    }
}
