//! `cctf merge` over folders that the normalizer's own pipeline wrote: what one normalizer sees and what several see of the
//! same requests comes out the same, in any order and in any grouping.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_order;
mod equal;
mod folders;
mod golden;
mod lines;
mod order;
mod process;
mod world;
