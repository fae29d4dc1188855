//! [`Plan`]: the requests of a recorded run and the work that they need, for stand-ins and simulators.
//!
//! A root is a request from outside; the plan has its arrival time. An invocation is a request that an instance processed; the
//! plan has its instance, its own CPU time and other own time, the sizes of its bodies, its failure and its calls. Own time is
//! time during which the instance itself works. The plan has no queue times and no waits for slots or CPUs, because an
//! execution of the plan produces new ones. The plan has recorded network times only for executors without a model of the links.
//!
//! For each call, the plan lists the calls that must end before this call starts, and the time from the last of these ends to the
//! start (the gap). A call has no absolute start time, so a slower callee delays everything that waits for its answer.
//!
//! - [`model`]: the types; [`read`]: reads the rows of a run from its files.
//! - [`timeline`], [`signature`], [`orders`], [`waits`]: compare all invocations that make the same calls, and infer from them
//!   which calls must end before a call starts.
//! - [`gaps`], [`own_time`], [`cpu`], [`refused`]: own time between calls. [`invocation`], [`build`]: invocations and roots.
//! - [`check`], [`counts`]: the self-check, and the omissions of a plan. [`write`]: the plan as JSON lines.

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
