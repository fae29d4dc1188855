//! Charts as SVG, laid out by this crate. Each chart takes plain data, accepts any number, and has a description for screen
//! readers.

pub mod axes;
pub mod graph;
pub mod heat_map;
mod layout;
pub mod lines;
pub mod parts;
mod plot;
pub mod sparkline;
pub mod stacked;
pub mod waterfall;
