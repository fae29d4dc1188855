//! Reads and writes run folders. Every command that opens a run does it through this crate.
//!
//! - [`RunFolder`]: one folder, with its files and what `run_meta.json` says.
//! - [`Lines`]: the lines of a file, each with its offset and how it ends.
//! - [`follow`]: the lines of a file that grows.
//! - [`parts`]: the parts of a long run, and what comes after each.
//! - [`fields`]: the fields of one line as they are written, without decoding the row.
//! - [`contents`]: rows and bytes of each file; whether a folder is free.
//! - [`output`]: a new run folder, which appears by one rename.

pub mod contents;
mod error;
pub mod fields;
mod folder;
pub mod follow;
mod lines;
pub mod output;
pub mod parts;

pub use cli::UsageError;
pub use error::ReadError;
pub use folder::RunFolder;
pub use lines::{Ending, Line, Lines};

/// Folder of the contract's files inside a run's folder.
pub const CCTF: &str = "cctf";
/// The load driver's file in a run's folder, in vegeta's format.
pub const EVENTS_CLIENT: &str = "events_client.jsonl";
