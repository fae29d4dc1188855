//! [`attribute`]: how much of the differences between two runs follows from their arrivals, services, slots and placement.
//!
//! The station simulator runs A and B, and mixtures of both: B's slots with everything else of A, and so on. What a part
//! contributes depends on which other parts were exchanged before it, so its contribution is averaged over all orders (Shapley, 1953).
//! The parts add up to the simulated difference. The rest of the recorded difference is the residual.
//!
//! - **arrivals**: which requests come from outside, and when.
//! - **services**: own times, calls and what they wait for, durations of calls without an invocation, wake-ups.
//! - **slots**: slots, slot policy and queue limit of each module.
//! - **placement**: instances, and the time on the network of each call.
//!
//! Files: [`mixture`] builds the works of a mixture, with [`partners`], [`network`] and [`stations`]; [`figures`] are the values that are
//! attributed; [`difference`] finds parts that differ; [`shapley`] averages. [`mod@attribute`] does all of it, and [`rows`] does so
//! for two compared runs.

mod attribute;
mod difference;
mod figures;
mod mixture;
mod network;
mod partners;
mod rows;
mod shapley;
mod stations;

pub use attribute::{PARTS, attribute};
pub use mixture::{Mixture, mix};
pub use partners::Partners;
pub use rows::between;
