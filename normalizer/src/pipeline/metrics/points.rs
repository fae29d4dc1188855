//! [`Point`]: a value of a metric with its time and the identity of its series.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, Hash, Hasher};

use cctf_proto::cctf::{ATTRIBUTES_BYTES_MAX, bounded};
use cctf_proto::otlp::common::{AnyValue, Attributes};

use crate::pipeline::shared::source::Source;

/// A point of a sum or gauge.
#[derive(Debug, Clone, Copy)]
pub struct Point<'a> {
    pub value: f64,
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    /// Start of the sum, nanoseconds since the Unix epoch; zero if it was not reported.
    pub start: u64,
    /// Fingerprint of resource, metric and attributes.
    pub series: u64,
    pub attributes: Attributes<'a>,
    /// Whether the value is the change since the previous point.
    pub is_delta: bool,
}

/// Computes fingerprints of series. The seed is fixed, because checkpoints contain fingerprints.
#[derive(Debug, Default)]
pub struct SeriesHasher(foldhash::quality::FixedState);

impl SeriesHasher {
    pub fn series(&self, source: &Source, metric: &str, attributes: Attributes<'_>) -> u64 {
        let mut hasher = self.0.build_hasher();
        source.number.hash(&mut hasher);
        metric.hash(&mut hasher);
        // The order of attributes does not matter for the identity of a series.
        let mut of_attributes = 0_u64;
        for attribute in attributes.iter().map_while(Result::ok) {
            let mut one = self.0.build_hasher();
            attribute.key.hash(&mut one);
            hash_value(attribute.value, &mut one);
            of_attributes = of_attributes.wrapping_add(one.finish());
        }
        of_attributes.hash(&mut hasher);
        hasher.finish()
    }
}

fn hash_value(value: AnyValue<'_>, hasher: &mut impl Hasher) {
    match value {
        AnyValue::String(text) => text.hash(hasher),
        AnyValue::Bool(truth) => truth.hash(hasher),
        AnyValue::Int(number) => number.hash(hasher),
        AnyValue::Double(number) => number.to_bits().hash(hasher),
        AnyValue::Bytes(bytes) => bytes.hash(hasher),
        // SDKs send only scalars as attributes of points. For a nested attribute, only its presence is hashed.
        AnyValue::Empty | AnyValue::Array(_) | AnyValue::KeyValueList(_) => 0_u8.hash(hasher),
    }
}

/// The scalar attributes of a point as a JSON object with sorted keys, as many as fit into a row; `None` without attributes.
pub fn attributes_json(attributes: Attributes<'_>) -> Option<String> {
    /// Maximum size of a scalar that is not text, or of quotes and separators.
    const BESIDES_TEXT: usize = 32;
    /// Maximum size of one byte of text as JSON.
    const ESCAPED: usize = 6;

    let mut object = BTreeMap::new();
    let mut bytes = 0;
    for attribute in attributes.iter().map_while(Result::ok) {
        let (key, mut text_bytes) = (bounded(attribute.key), 0);
        let value = match attribute.value {
            AnyValue::String(text) => {
                let text = bounded(text);
                text_bytes = text.len();
                serde_json::Value::from(text)
            }
            AnyValue::Bool(truth) => truth.into(),
            AnyValue::Int(number) => number.into(),
            AnyValue::Double(number) if number.is_finite() => number.into(),
            _ => continue,
        };
        bytes += (key.len() + text_bytes) * ESCAPED + BESIDES_TEXT;
        if bytes > ATTRIBUTES_BYTES_MAX {
            break;
        }
        object.insert(key, value);
    }
    if object.is_empty() {
        None
    } else {
        serde_json::to_string(&object).ok()
    }
}
