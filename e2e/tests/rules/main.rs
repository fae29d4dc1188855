//! The repository's own rules, which ARCHITECTURE.md, CONTRIBUTING.md and the README state. They need no service, so they have a
//! binary of their own.
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

/// Fails with all findings at once, so that one run shows everything to repair.
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
