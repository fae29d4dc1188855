//! `cctf merge` over folders that the normalizer's own pipeline wrote: what one normalizer sees and what several see of the
//! same requests comes out the same, in any order and in any grouping.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_order;
mod crossing;
mod equal;
mod folders;
mod golden;
mod hostile;
#[path = "../../../../normalizer/tests/support/hostile.rs"]
mod hostile_requests;
mod lines;
mod order;
#[path = "../../../../normalizer/tests/support/folders.rs"]
mod pipeline_folders;
mod world;
