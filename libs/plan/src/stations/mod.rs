//! [`simulate`]: the waits that the arrivals, own times, calls and slots of a plan lead to.
//!
//! A station serves requests first come, first served on its slots, which are assigned in the order in which they became free.
//! A request keeps its slot until its end (`held`), or has one only while it works (`released`): it gives its slot up while it
//! waits for calls and queues again afterwards. A full queue refuses new requests, not returning ones.
//!
//! - [`model`]: a plan as flat lists; [`mod@load`]: these lists from a plan, with what [`handover`] infers about slots.
//! - [`simulate`], [`calls`]: the simulator; [`progress`]: how far visits and calls are; [`dependents`]: what waits for a call.
//! - [`moved`]: the work of a load at other arrivals.
//! - [`outcome`]: its result for a visit; [`fit`]: how well its waits agree with the recorded ones.

mod calls;
mod dependents;
mod fit;
mod handover;
mod load;
mod model;
mod moved;
mod outcome;
mod progress;
mod simulate;

pub use fit::{FIT_ERROR_MAX, FIT_FLOOR_MS, ModuleFit, Pair, Waits, fits, mean_ms, quantile_ms, waits};
pub use load::load;
pub use model::{Arrival, Call, Fails, Load, Visit, Wait};
pub use moved::at_arrivals;
pub use outcome::{Outcome, State};
pub use simulate::{Failures, simulate, simulate_with};
