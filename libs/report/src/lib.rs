//! A recorded run as one offline HTML file.
//!
//! - [`model`]: everything that is shown of one run.
//! - [`gather`]: reads a run.
//! - [`compare`]: what two runs have in common, with a verdict on each pair of figures.
//! - [`pack`]: the timeline for the page's script.
//! - [`render`]: the page.

pub mod compare;
pub mod gather;
pub mod model;
pub mod pack;
pub mod render;
