//! Replays against the service that was recorded, and against one that was changed: the verdicts of `cctf compare`.
//!
//! - [`site`]: a normalizer and services that stay while runs are recorded and replayed.
//! - [`pairs`]: replays of one recording differ by chance only.
//! - [`chain`]: three nodes with a normalizer each, over links that [`proxy`] delays.
//! - [`sensitivity`]: replays after one change, which the verdict names first.

mod chain;
mod pairs;
mod proxy;
mod sensitivity;
mod site;

pub use chain::check as check_chain;
pub use pairs::check as check_pairs;
pub use sensitivity::check as check_sensitivity;
