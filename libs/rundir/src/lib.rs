//! Reads and writes run folders. Every command opens runs through this crate.
//!
//! - [`RunFolder`]: one folder and its files.
//! - [`Lines`]: the lines of a file, each with its offset and ending.
//! - [`chunks`]: a file's lines in ranges of bytes, for threads.
//! - [`follow`]: the lines of a file that grows.
//! - [`parts`]: the parts of a long run, and the successor of each.
//! - [`byte_count`]: bytes read, for a progress bar.
//! - [`fields`]: the fields of one line as written, without decoding the row.
//! - [`words`]: searches in short texts.
//! - [`contents`]: rows and bytes of each file.
//! - [`listing`]: the runs in a folder, without reading their rows.
//! - [`trace_lines`]: the lines of one trace in all parts of a run.
//! - [`output`]: a new run folder, which appears by one rename.
//! - [`validate`]: a folder checked against the rules of the contract.

pub mod byte_count;
pub mod chunks;
pub mod contents;
mod error;
pub mod fields;
mod folder;
pub mod follow;
mod lines;
pub mod listing;
pub mod output;
pub mod parts;
pub mod regular;
mod siblings;
pub mod trace_lines;
pub mod validate;
pub mod words;

pub use cli::UsageError;
pub use error::ReadError;
pub use folder::RunFolder;
pub use lines::{Ending, Line, Lines};

/// Folder of the CCTF files inside of a run folder.
pub const CCTF: &str = "cctf";
/// The file that marks one bucket of a merge: a folder with some of the traces of a run.
pub const BUCKET_FILE: &str = "bucket.json";
/// The file that marks the output of `cctf merge --rests` without `--rows`: a folder without invocations and calls.
pub const RESTS_FILE: &str = "rests.json";
/// The normalizer's lock in a run folder. The file stays there when the run has ended.
const NORMALIZER_LOCK: &str = ".lock";
/// The load driver's file in a run folder, in vegeta's format.
pub const EVENTS_CLIENT: &str = "events_client.jsonl";
