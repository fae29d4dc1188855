//! Who calls whom: the edges of the call graph.
//!
//! - [`edge`]: the calls of one module to another.
//! - [`collector`]: sums by the texts of the rows; [`names`]: the modules of a run; [`resolve`]: the module behind each call.

pub mod collector;
pub mod edge;
pub mod names;
pub mod resolve;
