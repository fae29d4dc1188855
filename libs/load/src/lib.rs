//! The open-loop load driver: requests leave at their absolute times, whatever the answers do.
//!
//! One driven run is a [`session::Session`]: it tells `cctf.run.start`, drives any number of endpoints one after the
//! other, and tells `cctf.run.end`. Within one drive the work is split over threads that never wait for each other:
//!
//! ```text
//! pacer ──(sends, or hands over)──▶ io loop ──(finished exchanges)──▶ recorder ──▶ events_client.jsonl, summary
//!   ▲                                  │                                  │
//!   └──────(connections free again)────┘                                  └──▶ exporter ──▶ OTLP
//! ```
//!
//! - [`schedule`]: when requests leave; pure.
//! - [`sizes`], [`payload`], [`target`], [`request`], [`response`]: what is sent and what comes back; pure.
//! - [`clock`], [`pacer`]: the thread that keeps the times.
//! - [`connection`], [`io_loop`], [`outbox`]: the thread that owns the connections.
//! - [`exchange`]: one request and what became of it, as the threads hand it on.
//! - [`record`], [`distribution`], [`summary`], [`recorder`]: what is told of it in files and figures.
//! - [`identity`], [`run_facts`], [`spans`], [`export`], [`otlp_client`]: what is told of it over OTLP.
//! - [`ids`], [`random`], [`utc`]: trace ids, the generator behind schedules and payloads, calendar times.
//! - [`session`]: all of it for one driven run.

pub mod clock;
pub mod connection;
pub mod distribution;
pub mod exchange;
pub mod export;
mod framing;
pub mod identity;
pub mod ids;
pub mod io_loop;
pub mod otlp_client;
pub mod outbox;
pub mod pacer;
pub mod payload;
pub mod random;
pub mod record;
pub mod recorder;
pub mod request;
pub mod response;
pub mod run_facts;
pub mod schedule;
pub mod session;
pub mod sizes;
pub mod spans;
pub mod summary;
pub mod target;
pub mod utc;
