//! Figures of a run in equal intervals of time.
//!
//! - [`series`]: the figures of the whole run and of its modules.

pub mod series;
