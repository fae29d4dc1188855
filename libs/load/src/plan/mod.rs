//! Plans the load: what is sent, when, and to which endpoint. It does no I/O.
//!
//! - [`schedule`], [`sizes`]: send times and body sizes.
//! - [`target`], [`payload`]: the endpoint and its bodies.
//! - [`random`]: the random generator behind schedules and bodies.

pub mod payload;
pub mod random;
pub mod schedule;
pub mod sizes;
pub mod target;
