//! The receiver at its sockets.

mod conformance;
mod connections;
mod drivers;
mod grpc;
mod http;
mod support;
