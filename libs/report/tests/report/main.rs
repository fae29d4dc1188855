//! Tests of the page: its size, hostile texts, what it says of runs that lack something.

mod data;
mod missing;
mod size;
mod texts;
