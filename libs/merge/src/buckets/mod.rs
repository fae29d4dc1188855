//! The files of a bucket that the rest of the merge (`--rests`) reads. They are beside the bucket's rows and bounded.
//!
//! - [`manifest`]: `bucket.json` and `rests.json`, which name what a folder is and from which folders it was made.
//! - [`lines`]: the lines of the files.
//! - [`hand_over`] writes these files, and [`take_over`] reads them from all buckets.
//! - [`rows`]: the rows of all buckets by time.

pub mod hand_over;
pub mod lines;
pub mod manifest;
pub mod rows;
pub mod take_over;
