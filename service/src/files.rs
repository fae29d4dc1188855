//! The folder that holds the service's files: the operator's, or a temporary one.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// A folder; a temporary one is removed when it is dropped.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    /// Makes sure that the folder is there.
    ///
    /// # Errors
    /// A folder that cannot be made.
    pub fn prepare(wanted: Option<&Path>) -> anyhow::Result<Self> {
        let (path, is_temporary) = match wanted {
            Some(path) => (path.to_owned(), false),
            None => {
                let name = format!("tunable-svc-{}-{:08x}", std::process::id(), rand::random::<u32>());
                (std::env::temp_dir().join(name), true)
            }
        };
        std::fs::create_dir_all(&path).with_context(|| {
            format!(
                "cannot make the folder {}; choose another by LOG_PATH",
                path.display()
            )
        })?;
        Ok(Self { path, is_temporary })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // What cannot be removed is left to the system's own cleaning of its temporary folder.
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_temporary_folder_is_removed() {
        let kept = tempfile::tempdir().unwrap();
        let (own, temporary) = (kept.path().join("logs"), Folder::prepare(None).unwrap());
        drop(Folder::prepare(Some(&own)).unwrap());
        assert!(own.is_dir());
        let path = temporary.path().to_owned();
        assert!(path.is_dir());
        drop(temporary);
        assert!(!path.exists());
    }
}
