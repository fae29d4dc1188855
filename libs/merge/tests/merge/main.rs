//! Merges of folders that the normalizer's pipeline wrote. The result must not depend on how many normalizers received the
//! requests, on the order of the folders, or on the nesting of merges.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod any_order;
mod buckets;
mod buckets_refused;
mod crossing;
mod equal;
mod folders;
mod golden;
mod hostile;
mod lines;
mod order;
mod support;
mod synthetic;
mod world;
