//! The open-loop load driver: requests leave at their scheduled times, whether or not earlier ones were answered.
//!
//! One run is a [`session::LoadSession`]. It sends the control span `cctf.run.start`, any number of streams of requests one
//! after the other, and the control span `cctf.run.end`. In a stream, several threads work without waiting for each other:
//!
//! ```text
//! composer ──(prepared requests)──▶ pacer ──(sends, or passes on)──▶ io loop ──(ended exchanges)──▶ recorder ──▶ lines, summary
//!                                     ▲                                 │                              │
//!                                     └───────(idle connections)────────┘                              └──▶ exporter ──▶ OTLP
//! ```
//!
//! - [`plan`]: send times, sizes, bodies and targets, without I/O.
//! - [`facts`], [`stream`]: prepared requests, their source and their servers.
//! - [`drive`], [`store`]: the load of one endpoint as a stream; values that requests read.
//! - [`http`]: requests, responses and connections.
//! - [`composer`]: the thread that prepares requests ahead of their times.
//! - [`clock`], [`pacer`]: the thread that keeps the times.
//! - [`io_loop`], [`backlog`], [`outbox`]: the thread that owns the connections.
//! - [`exchange`], [`progress`]: one request and its outcome, as the threads pass it on; counters for a display.
//! - [`record`]: lines and figures of ended requests.
//! - [`otlp`]: the driver's spans and control spans.
//! - [`ids`], [`error`]: trace and span ids; the failure of a run.
//! - [`threads`], [`session`]: the threads of one stream; a whole run.

pub mod backlog;
pub mod clock;
pub mod composer;
pub mod drive;
pub mod error;
pub mod exchange;
pub mod facts;
pub mod http;
pub mod ids;
pub mod io_loop;
mod memory;
pub mod otlp;
pub mod outbox;
pub mod pacer;
pub mod plan;
pub mod progress;
pub mod record;
pub mod session;
pub mod store;
pub mod stream;
#[cfg(test)]
mod testing;
pub mod threads;
