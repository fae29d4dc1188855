//! The toolbox for runs: an open-loop load driver, a one-command local run, and the thin commands over the contract.
//!
//! - [`load`] drives HTTP load and tells of it: spans by OTLP, `events_client.jsonl`, a summary.
//! - [`run`] starts the normalizer and the services as children and drives them.
//! - [`merge`] makes one run of many folders.
//! - [`tail`] follows the rows of a run as they come.
//! - [`commands`] is the command line: one file per subcommand, flags in, exit code out.
//! - [`http_once`] sends one plain request and waits: readiness probes, and the key that `kvget` reads.
//! - [`interrupt`] turns Ctrl-C into a flag that every loop looks at.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod commands;
pub mod http_once;
pub mod interrupt;
pub mod load;
pub mod merge;
pub mod run;
pub mod tail;
