//! What a recorded run asks of a system: its roots in order of time, and the stations that answer them.
//!
//! - [`inventory`]: the modules of a run. [`shape`]: paths without ids.
//! - [`roots`]: what came from outside, and when.
//! - [`work`]: the rows of a run, connected.
//! - [`plan`]: all of it as a description that stand-ins and simulators execute; [`stations`]: the waits to which that leads.

pub mod inventory;
pub mod plan;
pub mod roots;
pub mod shape;
pub mod stations;
pub mod work;
