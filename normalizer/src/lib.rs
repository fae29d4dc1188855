//! The normalizer: OTLP comes in, the CCTF file set comes out.
//!
//! [`receiver`] appends records to the [`journal`] and answers clients when they are durable; one thread ([`worker`]) feeds
//! them to the [`pipeline`], a state machine without I/O or clock, which maps ([`mapping`]) and joins ([`join`]) them into
//! rows; the [`sink`] writes these to files. A [`checkpoint`] keeps the state, from which [`resume`] goes on. [`admin`]
//! shows health and counters. Each module uses those behind it only.

// These macros panic where nobody reads any more, or where a disk is full: `stdio` of the contract crate does not.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod admin;
pub mod checkpoint;
pub mod config;
pub mod connections;
pub mod credentials;
pub mod disk_guard;
pub mod feeding;
pub mod given;
pub mod join;
pub mod journal;
pub mod mapping;
pub mod out_dir;
pub mod pipeline;
pub mod receiver;
pub mod replay;
pub mod resume;
pub mod run_id;
pub mod server;
pub mod sink;
pub mod worker;
