//! Reads a recorded run as a load for a system: the requests from outside (roots) in order of time, and the work of the
//! instances that process them.
//!
//! - [`inventory`]: the modules of a run. [`shape`]: replaces ids in paths.
//! - [`roots`]: the requests that came from outside, with their times.
//! - [`work`]: the rows of a run, connected: which request caused which.
//! - [`plan`]: the load and the work as a description that stand-ins and simulators execute.
//! - [`stations`]: simulates the waits that this load causes. A station is an instance with a queue and slots.

pub mod inventory;
pub mod plan;
pub mod roots;
pub mod shape;
pub mod stations;
pub mod work;
