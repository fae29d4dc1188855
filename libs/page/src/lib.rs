//! The design of the report and of the live page: one style, text escaped in one place, charts as SVG with a table behind each.

pub mod charts;
pub mod document;
pub mod figure;
pub mod html;
pub mod number;
pub mod summary;
pub mod table;
pub mod text;
