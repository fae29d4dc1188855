//! Exports of runs that are made here: the tools that read exports of recorded runs are in e2e.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[allow(
    dead_code,
    reason = "shared with the tests of the conversion, which use all of it"
)]
#[path = "../../../convert/tests/convert/alibaba_world.rs"]
mod alibaba_world;
mod otlp;
mod telemetry;
