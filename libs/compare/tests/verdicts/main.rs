//! Verdicts on simulated runs with fixed seeds, read from folders as the normalizer writes them.

#[path = "../support/mod.rs"]
mod support;

mod chain;
mod hostile;
mod paired;
mod unpaired;
