//! The integration tests of the normalizer, in one binary: each further binary costs a link. `fuzz` and `model`
//! stand alone; their first lines say why.
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
mod worker;
