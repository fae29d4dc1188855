//! The open-loop load driver: requests leave at their scheduled times, whether or not earlier ones were answered.
//!
//! One run is a [`session::LoadSession`]. It sends the control span `cctf.run.start`, loads any number of endpoints one after
//! the other, and sends `cctf.run.end`. Within one drive, several threads work without waiting for each other:
//!
//! ```text
//! pacer ──(sends, or passes on)───▶ io loop ──(ended exchanges)─────▶ recorder ──▶ events_client.jsonl, summary
//!   ▲                                  │                                  │
//!   └──────(idle connections)──────────┘                                  └──▶ exporter ──▶ OTLP
//! ```
//!
//! - [`plan`]: send times, sizes, bodies and targets; pure.
//! - [`http`]: requests, responses and connections.
//! - [`clock`], [`pacer`]: the thread that keeps the times.
//! - [`io_loop`], [`outbox`]: the thread that owns the connections.
//! - [`exchange`]: one request and its outcome, as the threads pass it on.
//! - [`record`]: lines and figures of ended requests.
//! - [`otlp`]: the driver's spans and control spans.
//! - [`ids`]: trace and span ids.
//! - [`session`]: all of it, for one run.

pub mod clock;
pub mod exchange;
pub mod facts;
pub mod http;
pub mod ids;
pub mod io_loop;
pub mod otlp;
pub mod outbox;
pub mod pacer;
pub mod plan;
pub mod record;
pub mod session;
pub mod stream;
