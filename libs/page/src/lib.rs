//! The design of the report and of the live page: one style, text escaped in one place, charts as SVG with a table behind each.

pub mod text;
