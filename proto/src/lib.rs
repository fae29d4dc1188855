//! The two contracts of the product: OTLP in ([`otlp`]) and CCTF out ([`cctf`]), the [`keys`] that both ends share, and
//! the rules of a finished run ([`validate`]).
//!
//! No runtime, and no I/O but in the one file by which [`validate`] reads a folder: bytes go in, borrowed views and encoded
//! rows come out.

pub mod cctf;
pub mod keys;
pub mod otlp;
pub mod validate;
