//! The repository's own rules: what ARCHITECTURE.md and the README say is held here, or it is not said.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "in a test a panic is the finding"
)]

mod crates;
mod dependencies;
mod documents;
mod imports;
mod manifests;
mod text;

/// Fails with all findings at once, since whoever repairs one wants to see the others.
fn assert_none(rule: &str, findings: &[String]) {
    assert!(findings.is_empty(), "{rule}:\n  {}", findings.join("\n  "));
}
