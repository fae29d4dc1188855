//! The two contracts of the product: OTLP in ([`otlp`]) and CCTF out ([`cctf`]), and the [`keys`] that both ends share.
//!
//! No tokio, no I/O: bytes go in, borrowed views and encoded rows come out.

pub mod cctf;
pub mod keys;
pub mod otlp;
pub mod validate;
