//! [`RunFolder`]: one run folder and access to its files.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use cctf_proto::cctf::{File as CctfFile, Shape};

use crate::regular::{is_folder, look};
use crate::{BUCKET_FILE, CCTF, EVENTS_CLIENT, Lines, RESTS_FILE, ReadError, regular};

/// One folder of CCTF files.
#[derive(Debug, Clone)]
pub struct RunFolder {
    cctf: PathBuf,
    /// The run folder around `cctf`, if there is one. It may contain the driver's file.
    run: Option<PathBuf>,
}

impl RunFolder {
    /// Finds the files below `path`: a run folder, the folder `cctf` in it, or any folder with CCTF files.
    ///
    /// # Errors
    /// If the path cannot be read, has no such files, or is a part of a merge in buckets.
    pub fn open(path: &Path) -> Result<Self, ReadError> {
        let folder = Self::open_part(path)?;
        let around = folder.run.as_deref().or(folder.cctf.parent());
        for (in_folder, name, what) in [
            (
                Some(folder.cctf()),
                BUCKET_FILE,
                "one bucket of the traces of a merge",
            ),
            (
                around,
                RESTS_FILE,
                "the output of cctf merge --rests, without invocations and calls",
            ),
        ] {
            if in_folder.is_some_and(|in_folder| in_folder.join(name).is_file()) {
                return Err(ReadError::PartOfMerge {
                    path: path.to_owned(),
                    what,
                });
            }
        }
        Ok(folder)
    }

    /// Like [`RunFolder::open`], but also accepts a part of a merge in buckets.
    ///
    /// # Errors
    /// If the path cannot be read, or has no such files.
    pub fn open_part(path: &Path) -> Result<Self, ReadError> {
        // A link such as logs/latest does not have the name of the run, which is needed to find its other parts.
        let canonical = path.canonicalize().map_err(ReadError::io(path))?;
        let inside = canonical.join(CCTF);
        if is_folder(&inside)? {
            return Ok(Self {
                cctf: inside,
                run: Some(canonical),
            });
        }
        if canonical.ends_with(CCTF) || has_files(&canonical)? {
            return Ok(Self {
                cctf: canonical,
                run: None,
            });
        }
        Err(ReadError::NotARun {
            path: path.to_owned(),
        })
    }

    /// A run folder that is known to have a folder `cctf`.
    pub(crate) fn from_run(run: PathBuf) -> Self {
        Self {
            cctf: run.join(CCTF),
            run: Some(run),
        }
    }

    /// The folder of the CCTF files.
    pub fn cctf(&self) -> &Path {
        &self.cctf
    }

    /// The path of a file, which may not exist.
    pub fn path(&self, file: CctfFile) -> PathBuf {
        self.cctf.join(file.name())
    }

    /// Size of a file, bytes; 0 if it is missing.
    pub fn size(&self, file: CctfFile) -> u64 {
        std::fs::metadata(self.path(file)).map_or(0, |data| data.len())
    }

    /// Size of all `.jsonl` files, bytes.
    pub fn size_of_lines(&self) -> u64 {
        let lines = CctfFile::ALL.iter().filter(|file| file.shape() == Shape::Lines);
        lines.map(|&file| self.size(file)).sum()
    }

    /// The content of a `.json` file; `None` if it is missing.
    ///
    /// # Errors
    /// If it cannot be read, or is longer than `limit` bytes.
    pub fn whole(&self, file: CctfFile, limit: usize) -> Result<Option<Vec<u8>>, ReadError> {
        let path = self.path(file);
        let opened = match regular::open(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(ReadError::io(&path)(error)),
        };
        let mut bytes = Vec::new();
        let read = opened.take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(ReadError::io(&path))?;
        if bytes.len() > limit {
            return Err(ReadError::TooLarge { path, limit });
        }
        Ok(Some(bytes))
    }

    /// The lines of a file; `None` if it is missing.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn lines(&self, file: CctfFile) -> Result<Option<Lines>, ReadError> {
        Lines::open(self.path(file))
    }

    /// The lines of the driver's file; `None` if it is missing.
    ///
    /// # Errors
    /// If it cannot be opened.
    pub fn events_client(&self) -> Result<Option<Lines>, ReadError> {
        match &self.run {
            Some(run) => Lines::open(run.join(EVENTS_CLIENT)),
            None => Ok(None),
        }
    }
}

fn has_files(folder: &Path) -> Result<bool, ReadError> {
    for file in CctfFile::ALL {
        if look(&folder.join(file.name()))?.is_some_and(|data| data.is_file()) {
            return Ok(true);
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_found_by_its_folder_by_cctf_and_by_a_link() {
        let logs = tempfile::tempdir().unwrap();
        let run = logs.path().join("r");
        std::fs::create_dir_all(run.join(CCTF)).unwrap();
        std::fs::write(run.join("cctf/nodes.json"), "[]").unwrap();
        std::os::unix::fs::symlink("r", logs.path().join("latest")).unwrap();
        let canonical = run.canonicalize().unwrap().join(CCTF);
        for path in [run.clone(), run.join(CCTF), logs.path().join("latest")] {
            assert_eq!(RunFolder::open(&path).unwrap().cctf(), canonical);
        }
        let error = RunFolder::open(logs.path()).unwrap_err().to_string();
        assert!(
            error.contains("not a run folder") && error.contains("logs/latest"),
            "{error}"
        );
        assert!(matches!(
            RunFolder::open(&logs.path().join("none")),
            Err(ReadError::Io { .. })
        ));
    }

    #[test]
    fn parts_of_a_merge_in_buckets_are_not_runs() {
        let logs = tempfile::tempdir().unwrap();
        let (bucket, rests) = (logs.path().join("bucket"), logs.path().join("rests"));
        std::fs::create_dir_all(&bucket).unwrap();
        std::fs::create_dir_all(rests.join(CCTF)).unwrap();
        for (path, file) in [(&bucket, "calls.jsonl"), (&rests, "cctf/nodes.json")] {
            std::fs::write(path.join(file), "").unwrap();
            RunFolder::open(path).unwrap();
        }
        std::fs::write(bucket.join(BUCKET_FILE), "{}").unwrap();
        std::fs::write(rests.join(RESTS_FILE), "{}").unwrap();
        for path in [&bucket, &rests, &rests.join(CCTF)] {
            assert!(matches!(
                RunFolder::open(path),
                Err(ReadError::PartOfMerge { .. })
            ));
            RunFolder::open_part(path).unwrap();
        }
    }

    #[test]
    fn missing_and_too_large_files_are_distinguished() {
        let logs = tempfile::tempdir().unwrap();
        std::fs::write(logs.path().join("nodes.json"), "[1]").unwrap();
        let folder = RunFolder::open(logs.path()).unwrap();
        assert_eq!(folder.whole(CctfFile::Nodes, 3).unwrap().unwrap(), b"[1]");
        assert!(matches!(
            folder.whole(CctfFile::Nodes, 2),
            Err(ReadError::TooLarge { limit: 2, .. })
        ));
        assert!(folder.whole(CctfFile::Links, 2).unwrap().is_none());
        assert!(folder.lines(CctfFile::Calls).unwrap().is_none());
        assert!(folder.events_client().unwrap().is_none());
    }
}
