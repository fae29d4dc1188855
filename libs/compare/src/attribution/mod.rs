//! [`attribute`]: how much of the differences between two runs is caused by their arrivals, services, slots and placement.
//!
//! The simulator runs A, B, and mixtures of both, such as A with B's slots. The contribution of a part depends on the parts
//! that were exchanged before it. So it is averaged over all orders (Shapley, 1953). The contributions add up to the simulated
//! difference. The recorded difference minus the simulated one is the residual.
//!
//! - **arrivals**: the requests from outside, and their times.
//! - **services**: own times, calls and the calls for which they wait, durations of calls without an invocation, wake-ups.
//! - **slots**: slots, slot policy and queue limit of each module.
//! - **placement**: instances, and the network time of each call.
//!
//! - [`mixture`] builds the load of a mixture, with [`partners`], [`network`] and [`stations`].
//! - [`figures`] computes the figures that are attributed; [`difference`] finds parts that differ; [`shapley`] averages.
//! - [`mod@attribute`] combines them, and [`rows`] applies this to two compared runs.

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
