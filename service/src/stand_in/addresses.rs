//! [`Addresses`]: reads the stand-ins file at the first planned request, and keeps it.

use std::path::PathBuf;
use std::sync::OnceLock;

use standin::{StandInError, StandIns};

/// The addresses of the other stand-ins. Their file can appear after this process has started, because ports are known only
/// when all stand-ins listen.
#[derive(Debug)]
pub struct Addresses {
    path: PathBuf,
    read: OnceLock<StandIns>,
}

impl Addresses {
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            read: OnceLock::new(),
        }
    }

    /// # Errors
    /// The file is missing or invalid. The next request reads it again.
    pub fn get(&self) -> Result<&StandIns, StandInError> {
        if let Some(read) = self.read.get() {
            return Ok(read);
        }
        let new = StandIns::read(&self.path)?;
        Ok(self.read.get_or_init(|| new))
    }
}
