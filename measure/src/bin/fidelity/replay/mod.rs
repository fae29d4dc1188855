//! Replays against the recorded service and against changed ones: checks the verdicts of `cctf compare`.
//!
//! - [`site`]: a normalizer and services that keep running while runs are recorded and replayed.
//! - [`pairs`]: several replays of the same recording, which differ only by chance.
//! - [`chain`]: three nodes with a normalizer each, over links that [`proxy`] delays.
//! - [`sensitivity`]: replays after one change. The verdict must name the change as its first cause.
//! - [`stand_ins`]: stand-ins replace the services.
//! - [`dependence`]: stand-ins for a program with known branches, with a slower callee.
//! - [`shop`]: stand-ins for the shop of `examples/`, with a service behind a link.

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
