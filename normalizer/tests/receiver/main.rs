//! The receiver at its sockets, byte by byte.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod conformance;
mod connections;
mod grpc;
mod http;
mod support;
