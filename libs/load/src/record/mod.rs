//! Lines and figures of ended requests.
//!
//! - [`recorder`]: the thread that receives them.
//! - [`events`], [`utc`]: lines of `events_client.jsonl`, and their times.
//! - [`distribution`], [`changes`], [`summary`]: figures.

pub mod changes;
pub mod distribution;
pub mod events;
pub mod recorder;
pub mod summary;
pub mod utc;
