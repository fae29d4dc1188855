//! The two contracts: OTLP as input ([`otlp`]) and CCTF as output ([`cctf`]). Also the attribute [`keys`] that producers and
//! the normalizer share, and the rules for the files of a run ([`validate`]).
//!
//! The crate needs no runtime and does no I/O, except in [`stdio`], with which all binaries print. Its inputs are bytes; its
//! outputs are borrowed views and encoded rows.

// These macros panic if the reader is gone or the disk is full; the functions of `stdio` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod cctf;
pub mod keys;
pub mod otlp;
pub mod stdio;
pub mod validate;
