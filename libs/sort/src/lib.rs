//! An external merge sort in bounded memory.
//!
//! - [`record`]: a record and its layout in bytes.
//! - [`chunks`]: sorted chunks of records in a file, and how they are merged.
//! - [`sorter`]: the sort.
//! - [`scratch`]: temporary files without a name.

pub mod chunks;
pub mod record;
pub mod scratch;
pub mod sorter;
