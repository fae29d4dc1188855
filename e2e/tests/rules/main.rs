//! The rules of the repository, as stated in ARCHITECTURE.md, CONTRIBUTING.md and the README. These tests need no service, so
//! they are a separate binary.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the finding"
)]

mod circles;
mod code;
mod crates;
mod dependencies;
mod documents;
mod imports;
mod manifests;
mod sizes;
mod text;

/// Fails with all findings together, so that one run shows everything that has to be repaired.
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
