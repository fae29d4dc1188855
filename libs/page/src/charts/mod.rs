//! Charts, laid out here and drawn as SVG. Each takes plain data, survives any number, and names itself to screen readers.

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
