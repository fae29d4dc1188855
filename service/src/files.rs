//! The folder of the service's files: LOG_PATH, or a temporary one.

use std::path::{Path, PathBuf};

use anyhow::anyhow;

/// A folder. A temporary one is removed on drop.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    is_temporary: bool,
}

impl Folder {
    /// Creates the folder if necessary.
    ///
    /// # Errors
    /// The folder cannot be created.
    pub fn prepare(log_path: Option<&Path>) -> anyhow::Result<Self> {
        let (path, is_temporary) = match log_path {
            Some(path) => (path.to_owned(), false),
            None => {
                let name = format!("tunable-svc-{}-{:08x}", std::process::id(), rand::random::<u32>());
                (std::env::temp_dir().join(name), true)
            }
        };
        std::fs::create_dir_all(&path).map_err(|error| {
            anyhow!(
                "cannot create the folder {}: {error}; set LOG_PATH to another one",
                path.display()
            )
        })?;
        Ok(Self { path, is_temporary })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.is_temporary {
            // The system cleans its temporary folder if the removal fails.
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
