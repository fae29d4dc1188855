//! The receiver at its sockets, byte by byte.

mod conformance;
mod connections;
mod grpc;
mod http;
mod support;
