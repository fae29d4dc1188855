//! Tests of the whole binary over real sockets: each starts its own service on free ports.

mod client;
mod endpoints;
mod forwarding;
mod lifecycle;
mod limits;
mod receiver;
mod spawn;
mod telemetry;
