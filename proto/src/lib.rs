//! The two contracts of the product: OTLP in ([`otlp`]) and CCTF out ([`cctf`]), the [`keys`] that both ends share, and
//! the rules of a finished run ([`validate`]).
//!
//! No runtime, and no I/O but in the one file by which [`validate`] reads a folder and the one by which all binaries print
//! ([`stdio`]): bytes go in, borrowed views and encoded rows come out.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod cctf;
pub mod keys;
pub mod otlp;
pub mod stdio;
pub mod validate;
