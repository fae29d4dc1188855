//! Sends a recorded run to stand-ins. Each root becomes a request, whose body contains the work of all invocations that the
//! root causes.
//!
//! - [`nested`]: encodes the work of one root. [`by_root`]: finds the tree of a root.
//! - [`scan`]: counts the requests before the first one is sent. [`paths`]: finds requests that would wait forever for each
//!   other's slots.
//! - [`probes`]: checks that each stand-in is running. [`speeds`]: factors of CPU times for nodes of another speed; [`ways`]:
//!   network times for other links.
//! - [`send`]: encodes the requests.

pub mod by_root;
pub mod nested;
pub mod paths;
pub mod probes;
pub mod scan;
pub mod send;
pub mod speeds;
pub mod ways;
