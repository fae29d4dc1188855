//! Verdicts on simulated runs with fixed seeds. The runs are written as folders in the normalizer's format, and read from
//! there.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the failure")]

#[path = "../support/mod.rs"]
mod support;

mod chain;
mod chance;
mod hostile;
mod paired;
mod parts;
mod refused;
mod unpaired;
