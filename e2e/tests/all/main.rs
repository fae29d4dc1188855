//! Tests of the real binaries. They are one binary, because linking takes longer than most of the tests.
//!
//! Each test starts the processes that it needs as children. Tests that enter network namespaces do so in a separate thread.
//! A test that must not run at the same time as others takes the lock in `e2e::exclusive`.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the finding")]

mod bad_input;
mod chain;
mod collector;
mod containers;
mod converted;
mod datasets;
mod dependence;
mod distributed;
mod embedded;
mod exports;
mod interfaces;
mod kubernetes;
mod languages;
mod merged;
mod messages;
mod migrate;
mod one_driver;
mod overload;
mod pages;
mod placement;
mod placement_moves;
mod placement_study;
mod placements;
mod release;
mod replay;
mod run_all;
mod scenarios;
mod secured;
mod simgrid;
mod stand_ins;
mod stats;
mod tail;
mod tail_prefix;
mod third_party;
mod tiers;
