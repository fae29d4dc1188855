//! The normalizer: it receives OTLP and writes the CCTF file set.
//!
//! The [`receiver`] appends records to the [`journal`] and answers clients when the records are durable. One thread ([`worker`])
//! feeds them to the [`pipeline`], a state machine without I/O or clock. The pipeline maps ([`mapping`]) and joins ([`join`])
//! them into rows, and the [`sink`] writes these to files. [`recovery`] stores the state and restores it at the next start.
//! [`admin`] serves health checks and metrics. [`offline`] feeds recorded requests to the same pipeline, without receiver and journal.
//! A module imports only modules downstream of it.

// These macros panic if the reader is gone or the disk is full; `cctf_proto::stdio` returns an error.
#![deny(clippy::print_stderr, clippy::print_stdout)]

pub mod admin;
pub mod config;
pub mod connections;
pub mod disk_guard;
pub mod join;
pub mod journal;
pub mod mapping;
pub mod offline;
pub mod out_dir;
pub mod pipeline;
pub mod receiver;
pub mod recovery;
pub mod run_id;
pub mod server;
pub mod sink;
pub mod worker;
