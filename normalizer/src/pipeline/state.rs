//! Version and errors of the pipeline's state as bytes, which a checkpoint stores.

/// Version of the bytes. A state of another version cannot be read.
pub const STATE_VERSION: u32 = 8;

/// Why a state could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the pipeline's state: {0}")]
pub struct RestoreError(#[from] postcard::Error);
