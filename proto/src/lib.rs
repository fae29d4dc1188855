//! The two contracts: OTLP in ([`otlp`]) and CCTF out ([`cctf`]), the attribute [`keys`] between producers and the
//! normalizer, and the rules that the files of a run must satisfy ([`validate`]).
//!
//! No runtime, and no I/O except in [`stdio`], with which all binaries print: bytes go in, borrowed views and encoded rows
//! come out.

// These macros panic if the reader is gone or the disk is full; the functions of `stdio` do not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod cctf;
pub mod keys;
pub mod otlp;
pub mod stdio;
pub mod validate;
