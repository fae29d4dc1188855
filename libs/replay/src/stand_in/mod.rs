//! A recorded run for stand-ins: each root as a request, whose body has the work of the root and of everything below it.
//!
//! - [`nested`]: one root as nested work. [`by_root`]: the trees of a plan by their roots.
//! - [`scan`]: what the requests will be; [`paths`]: slots that would wait for each other; both before the first send.
//! - [`probes`]: whether each stand-in is there. [`speeds`]: CPU times for nodes of another speed; [`ways`]: network times for other links.
//! - [`send`]: the requests.

pub mod by_root;
pub mod nested;
pub mod paths;
pub mod probes;
pub mod scan;
pub mod send;
pub mod speeds;
pub mod ways;
