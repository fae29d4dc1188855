//! Requests, responses and connections.
//!
//! - [`request`], [`response`]: what is sent and received, without I/O.
//! - [`connection`]: one nonblocking connection.

pub mod connection;
mod framing;
pub mod request;
pub mod response;
