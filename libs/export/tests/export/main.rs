//! Exports of runs that are made here: the tools that read exports of recorded runs are in e2e.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod otlp;
mod telemetry;
