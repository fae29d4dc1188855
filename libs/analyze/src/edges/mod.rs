//! Who calls whom: the edges of the call graph.
//!
//! - [`edge`]: the calls of one module to another.

pub mod edge;
