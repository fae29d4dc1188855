//! The call graph: its edges are the calls of one module to another.
//!
//! - [`edge`]: one edge.
//! - [`collector`]: sums by the texts of the rows; [`names`]: the modules of a run; [`resolve`]: finds the module behind each
//!   call.

pub mod collector;
pub mod edge;
pub mod names;
pub mod resolve;
