//! [`Plan`]: a recorded run as a load and a description of work, for stand-ins and simulators.
//!
//! For each root it has the arrival; for each invocation its instance, own CPU time, own other time, sizes, failure and calls. Each
//! call has the calls that must end before it. Waits for slots and CPUs, queue times and network times are not in it, because they
//! come again.
//! A call starts a time after the ends of other calls, not at an offset: so a slower callee delays what waits for it.
//!
//! - [`model`]: the types; [`read`]: the rows of a run from its files.
//! - [`timeline`], [`signature`], [`orders`], [`waits`]: what each call waits for, from all invocations with the same calls.
//! - [`gaps`], [`own_time`], [`cpu`], [`refused`]: own time between calls. [`invocation`], [`build`]: invocations and roots.
//! - [`check`], [`counts`]: the self-check, and what a plan leaves out. [`write`]: the plan as JSON lines.

mod build;
mod check;
mod counts;
mod cpu;
mod gaps;
mod invocation;
mod model;
mod orders;
mod own_time;
mod read;
mod refused;
mod signature;
mod timeline;
mod waits;
mod whole;
pub mod write;

pub use counts::{Counts, Listed};
pub use cpu::Regressed;
pub use model::{
    CALLS_PER_INVOCATION_MAX, Call, Callee, Cpu, DEPTH_MAX, Deviation, Ends, INVOCATIONS_PER_ROOT_MAX,
    Invocation, Reason, RecordedTimes, Tree, WAITS_PER_CALL_MAX, Wait,
};
pub use orders::{COMPARED_CALLS_MAX, OBSERVATIONS_MIN};
pub use read::{Window, read};
pub use whole::{Plan, Span, Trees};

pub use crate::work::{Recorded, What};
