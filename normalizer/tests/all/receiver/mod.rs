//! The receiver at its sockets.

mod conformance;
mod connections;
mod grpc;
mod http;
mod support;
