//! Replays against the service that was recorded, and against one that was changed: the verdicts of `cctf compare`.
//!
//! - [`site`]: a normalizer and services that stay while runs are recorded and replayed.
//! - [`pairs`]: replays of one recording differ by chance only.
//! - [`chain`]: three nodes with a normalizer each, over links that [`proxy`] delays.
//! - [`sensitivity`]: replays after one change, which the verdict names first.
//! - [`stand_ins`]: stand-ins in place of the services.
//! - [`dependence`]: the same with a slower callee, for a program with known branches.
//! - [`shop`]: the same for the shop of `examples/`, with a service behind a link.

mod chain;
mod dependence;
mod pairs;
mod proxy;
mod sensitivity;
mod shop;
mod site;
mod stand_ins;

pub use chain::check as check_chain;
pub use dependence::check as check_dependence;
pub use pairs::check as check_pairs;
pub use sensitivity::check as check_sensitivity;
pub use shop::check as check_shop;
pub use stand_ins::check as check_stand_ins;
