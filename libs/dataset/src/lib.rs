//! Exports recorded runs as a data set: partitioned Parquet files for DuckDB, polars, pandas and Spark.
//!
//! Each module imports only modules that precede it in this list:
//!
//! - [`layout`]: the tables with their columns, generated from the row declarations.
//! - [`leaf`], [`shred`]: values of one column; the lines of a file, divided into columns.
//! - [`chunks`], [`writer`]: one column of a row group in progress; one Parquet file.
//! - [`damages`]: lines that are not rows, and the sentence about each.
//! - [`order`]: a file's lines sorted by trace and time, or by time.
//! - [`views`]: SQL that gives the columns the names and types that the JSON files have.
//! - [`index`]: the data set's index: types, runs, counts and ranges.
//! - [`runs`]: the runs to add, and which of them cannot be added.
//! - [`tables`]: all tables of one run.
//! - [`export`]: a new data set, or further runs in an existing one.

mod chunks;
pub mod damages;
pub mod export;
pub mod index;
pub mod layout;
mod leaf;
mod order;
pub mod runs;
mod shred;
mod tables;
pub mod views;
mod writer;
