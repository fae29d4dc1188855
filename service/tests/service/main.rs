//! Tests of the whole binary over real sockets: each starts its own service on free ports.

// clippy allows these in test functions, but not in the functions that they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod client;
mod deltas;
mod endpoints;
mod forwarding;
mod hand;
mod lifecycle;
mod limits;
mod receiver;
mod spawn;
mod stand_in;
mod station;
mod telemetry;
mod variables;
