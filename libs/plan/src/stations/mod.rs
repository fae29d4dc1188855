//! [`simulate`]: the waits that the arrivals, own times, calls and slots of a run lead to.
//!
//! A station serves requests first come, first served on its slots, which are assigned in the order in which they became free.
//! A request keeps its slot until its end (`held`), or gives it up during calls and queues again afterwards (`released`). A full queue
//! refuses new requests, not returning ones.
//!
//! - [`simulate`]: the simulator; [`dependents`]: calls that wait for others.
//! - [`outcome`]: its result for an invocation; [`fit`]: how well its waits agree with the recorded ones.

mod dependents;
mod fit;
mod outcome;
mod simulate;

pub use fit::{FIT_ERROR_MAX, FIT_FLOOR_MS, ModuleFit, Pair, Waits, fits, mean_ms, quantile_ms, waits};
pub use outcome::{Outcome, State};
pub use simulate::{Refusals, simulate, simulate_with};
