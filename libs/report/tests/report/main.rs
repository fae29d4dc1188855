//! Tests of the page: its size, hostile texts, and runs that lack data.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod data;
mod missing;
mod numbers;
mod size;
mod texts;
mod verdict;
