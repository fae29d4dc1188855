//! A recorded run as one offline HTML file.
//!
//! - [`model`]: the data of one run that the report shows.
//! - [`gather`]: reads a run.
//! - [`compare`]: the modules and endpoints that two runs have in common, with a verdict on each pair of figures.
//! - [`sheet`]: a verdict on two runs as a whole, for the page and for a terminal.
//! - [`pack`]: the timeline for the page's script.
//! - [`render`]: the page.

pub mod compare;
pub mod gather;
pub mod model;
pub mod pack;
pub mod render;
pub mod sheet;
