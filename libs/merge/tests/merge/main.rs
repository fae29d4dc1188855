//! Merges of folders that the normalizer's pipeline wrote. The result is the same whether one normalizer or several received
//! the requests, in any order of the folders and any nesting of merges.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_order;
mod crossing;
mod equal;
mod folders;
mod golden;
mod hostile;
mod lines;
mod order;
mod support;
mod world;
