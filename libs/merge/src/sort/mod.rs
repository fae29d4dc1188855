//! An external merge sort in bounded memory.
//!
//! - [`record`]: a record and its layout in bytes.
//! - [`chunks`]: sorted chunks of records in a file, and how they are merged.
//! - [`sorter`]: the sort.

pub mod chunks;
pub mod record;
pub mod sorter;
