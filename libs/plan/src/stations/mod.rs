//! [`simulate`]: computes the waits that result from the arrivals, work, calls and slots of a plan.
//!
//! A station is an instance with a queue and slots. It serves requests first come, first served, and assigns slots in the order
//! in which they became free. A visit is one invocation at a station. With the slot policy `held`, a request keeps its slot
//! until the request ends. With `released`, the request gives the slot back while it waits for calls, and then queues again. A
//! full queue refuses new requests, but not requests that return from calls.
//!
//! - [`model`]: a plan as flat lists; [`mod@load`]: builds these lists; [`handover`]: infers when slots were released.
//! - [`platform`]: slots, CPUs and links, if they are not the recorded ones; [`server`]: resources that requests share, such as
//!   the CPUs of a node; [`kept`]: the time that invocations waited for a CPU because of other processes.
//! - [`simulate`], [`calls`], [`own_work`], [`network`], [`serve`]: the simulator; [`progress`]: the state of visits and calls;
//!   [`dependents`]: for each call, the other calls that wait for its end.
//! - [`moved`]: the same work with other arrivals.
//! - [`outcome`]: the simulated times of a visit; [`fit`]: compares them with the recorded ones.

mod calls;
mod dependents;
mod fit;
mod handover;
mod kept;
mod load;
mod model;
mod moved;
mod network;
mod outcome;
mod own_work;
mod platform;
mod progress;
mod serve;
mod server;
mod simulate;

pub use fit::{FIT_ERROR_MAX, FIT_FLOOR_MS, ModuleFit, Pair, Waits, fits, mean_ms, quantile_ms, waits};
pub use kept::kept_cpu_waits;
pub use load::load;
pub use model::{Arrival, Call, Fails, Load, Visit, Wait};
pub use moved::at_arrivals;
pub use outcome::{Outcome, Simulation, State};
pub use platform::{Host, Link, Platform, Server, WHOLE_PPM, Way};
pub use simulate::{Failures, simulate, simulate_on, simulate_with};
