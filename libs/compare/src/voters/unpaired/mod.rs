//! Voters for two runs that are not replays. They compare modules and endpoints, with intervals for two independent runs.
//!
//! - [`runs`]: the rows of both runs by module.
//! - [`arrivals`](mod@arrivals), [`calls`](mod@calls): rates and mix of requests, calls per invocation.
//! - [`outcomes`]: shares of failures and statuses.
//! - [`means`], [`times`]: services, external calls and CPU times; waits and responses.

mod arrivals;
mod calls;
mod means;
mod outcomes;
mod runs;
mod times;

pub use arrivals::arrivals;
pub use calls::calls;
pub use means::{cpu_times, cpu_waits, externals, services, wakeups};
pub use outcomes::{failures, statuses};
pub use runs::Unpaired;
pub use times::{responses, waits};
