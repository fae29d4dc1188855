//! Copies a run folder without names. The treatment of each field is part of its declaration in `proto/src/cctf`.
//!
//! - [`key`]: the secret key from a file.
//! - [`hashes`]: keyed hashes as letters, digits, ids, addresses and ports.
//! - [`names`]: names of nodes, modules and hosts, and addresses; [`paths`]: paths, queries and URLs; [`attributes`]: those of
//!   metrics.
//! - [`times`]: timestamps, all shifted by the same time.
//! - [`replacer`]: applies these treatments, and counts the replaced values.
//! - [`counts`]: the counts of `run_meta.json` without the lines that were dropped.
//! - [`rows`]: the rows of one file; [`files`]: the files of one folder; [`run`]: the folders of a run.
//! - [`rare`]: endpoints with few calls; [`summary`]: the result of an anonymisation.

pub mod attributes;
pub mod counts;
pub mod files;
pub mod hashes;
pub mod key;
pub mod names;
pub mod paths;
pub mod rare;
pub mod replacer;
pub mod rows;
pub mod run;
pub mod summary;
pub mod times;

pub use key::Key;
pub use run::{Options, Progress, anonymise};
pub use summary::Summary;
