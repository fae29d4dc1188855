//! [`Addresses`]: the stand-ins file, read at the first planned request and kept from then on.

use std::path::PathBuf;
use std::sync::OnceLock;

use standin::{StandInError, StandIns};

/// The other stand-ins. Their file may appear after the start, because ports are known only when all listen.
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
