//! A recorded run as one offline HTML file.
//!
//! - [`model`]: everything that is shown of one run.
//! - [`gather`]: reads a run.
//! - [`compare`]: what two runs have in common, with a verdict on each pair of figures.
//! - [`sheet`]: a verdict on two runs as a whole, for the page and for a terminal.
//! - [`pack`]: the timeline for the page's script.
//! - [`render`]: the page.

pub mod compare;
pub mod gather;
pub mod model;
pub mod pack;
pub mod render;
pub mod sheet;
