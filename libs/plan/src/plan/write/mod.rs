//! [`header_line`], [`root_line`]: write a plan as JSON lines. docs/plan.md describes the lines.
//!
//! [`header`] writes the first line: the run, its stations and the self-check. [`root`] writes one line for each root.

mod header;
mod root;

use serde::{Serialize, Serializer};

pub use header::{StationFit, header_line};
pub use root::root_line;

/// Version of the lines. A reader refuses a greater version. Within one version, only optional fields are added.
pub const VERSION: u32 = 1;

/// A duration in nanoseconds that is written as milliseconds. A double is exact to a nanosecond for durations up to 100 days.
#[derive(Debug, Clone, Copy)]
struct Ms(i64);

impl Serialize for Ms {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0 as f64 / 1e6)
    }
}

impl Ms {
    /// `None` for 0, for fields that are left out if they are 0.
    fn unless_zero(ns: i64) -> Option<Self> {
        (ns != 0).then_some(Self(ns))
    }
}
