//! The common design of the report and of the live page: one style, one place where text is escaped, and charts as SVG, each
//! with a table of its data.

pub mod charts;
pub mod document;
pub mod figure;
pub mod html;
pub mod number;
pub mod summary;
pub mod table;
pub mod text;
