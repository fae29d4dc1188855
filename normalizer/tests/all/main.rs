//! The integration tests of the normalizer. They are one binary, because each further binary has to be linked. The tests `fuzz`
//! and `model` are separate; their first lines give the reason.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

mod contract;
mod cors;
mod credentials;
mod disk;
mod faults;
mod golden;
mod golden_rows;
mod join_model;
mod kill;
mod live;
mod memory;
mod otlp_table;
mod process;
mod receiver;
mod remap;
mod replay;
#[path = "../support/mod.rs"]
mod support;
mod templates;
mod worker;
