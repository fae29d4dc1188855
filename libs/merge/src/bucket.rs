//! [`Bucket`]: one of several equal parts of all traces, as the data set of `cctf export parquet` has them.

use std::fmt;
use std::num::NonZero;
use std::str::FromStr;

use rundir::fields::Fields;

use crate::values::{InvalidField, trace_id};

/// Maximum number of buckets, as in a data set.
pub const BUCKETS_MAX: u16 = 512;
/// The start of a line, as normalizers and merges write it.
const START: &[u8] = b"{\"trace_id\":";
/// Bytes of a trace id with its quotes.
const ID_BYTES: usize = 34;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bucket {
    /// From 0.
    pub index: u16,
    /// Number of all buckets, a power of two.
    pub of: NonZero<u16>,
}

/// A text that is not a bucket.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "invalid bucket: use i/N with a power of two N from 1 to {BUCKETS_MAX}, and i from 0 up to N - 1, such as 0/4"
)]
pub struct InvalidBucket;

impl FromStr for Bucket {
    type Err = InvalidBucket;

    fn from_str(text: &str) -> Result<Self, InvalidBucket> {
        let (index, of) = text.split_once('/').ok_or(InvalidBucket)?;
        let index: u16 = index.parse().map_err(|_| InvalidBucket)?;
        let of: NonZero<u16> = of.parse().map_err(|_| InvalidBucket)?;
        match of.is_power_of_two() && of.get() <= BUCKETS_MAX && index < of.get() {
            true => Ok(Self { index, of }),
            false => Err(InvalidBucket),
        }
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.index, self.of)
    }
}

impl Bucket {
    /// Whether a line of invocations or calls belongs to a trace in this bucket. Only the trace id of the line is read.
    #[inline]
    pub fn has(self, line: &[u8]) -> anyhow::Result<bool> {
        let id = match line.strip_prefix(START).and_then(|rest| rest.get(..ID_BYTES)) {
            Some(value) => value,
            None => found_id(line)?,
        };
        Ok(trace_id(id, "trace_id")?.bucket(self.of) == self.index)
    }
}

/// The trace id of a line with its fields in another order, or with spaces.
#[cold]
fn found_id(line: &[u8]) -> anyhow::Result<&[u8]> {
    let mut scan = Fields::new(line)?;
    while let Some(field) = scan.next_field()? {
        if field.name == b"trace_id" {
            return Ok(field.value);
        }
    }
    Err(InvalidField("trace_id").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_parsed_and_printed() {
        for text in ["0/1", "3/4", "511/512"] {
            assert_eq!(text.parse::<Bucket>().unwrap().to_string(), text);
        }
        for text in [
            "", "1", "1/0", "0/0", "4/4", "0/3", "0/1024", "-1/2", "a/b", "1/2/4",
        ] {
            assert_eq!(text.parse::<Bucket>(), Err(InvalidBucket), "{text}");
        }
    }

    #[test]
    fn the_bucket_of_a_line_follows_from_its_trace_wherever_the_field_is() {
        let bucket: Bucket = "28/32".parse().unwrap();
        for line in [
            r#"{"trace_id":"0af7651916cd43dd8448eb211c80319c","span_id":"x"}"#,
            r#"{"span_id":"x","trace_id":"0af7651916cd43dd8448eb211c80319c"}"#,
            r#"{ "trace_id" : "0af7651916cd43dd8448eb211c80319c" }"#,
        ] {
            assert!(bucket.has(line.as_bytes()).unwrap(), "{line}");
            assert!(!Bucket { index: 0, ..bucket }.has(line.as_bytes()).unwrap());
        }
        for line in ["{}", "[]", r#"{"trace_id":"short"}"#, r#"{"trace_id":null}"#] {
            assert!(bucket.has(line.as_bytes()).is_err(), "{line}");
        }
    }
}
