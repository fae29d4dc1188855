//! A recorded run as one offline HTML file.
//!
//! - [`model`]: everything that is shown of one run.

pub mod model;
