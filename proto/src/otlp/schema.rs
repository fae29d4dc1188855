//! Fields and wire types of every OTLP message in a trace, metrics or logs request.

/// The fields of one message, by number.
pub(super) struct Message {
    fields: [Field; FIELD_NUMBER_MAX + 1],
}

/// Maximum field number of all messages here (the flags of [`SPAN`]).
const FIELD_NUMBER_MAX: usize = 16;

/// Type of a field.
#[derive(Clone, Copy)]
pub(super) enum Field {
    /// Not a field of this message. It is skipped.
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    /// Length-delimited, UTF-8.
    String,
    /// Length-delimited, any bytes.
    Bytes,
    /// A message that may occur several times. It is repeated, or it has no view, or its view merges all occurrences
    /// (resource, scope, status).
    Message(&'static Message),
    /// A repeated [`KEY_VALUE`]. Nine tenths of a request are these.
    Attribute,
    /// A message that may occur only once. Protobuf would merge several occurrences by concatenation, and a view of one slice
    /// cannot represent this. No known encoder writes several.
    MessageOnce(&'static Message),
    /// Repeated numbers, each in its own field or packed.
    Fixed64List,
    VarintList,
}

use Field::{
    Attribute, Bytes, Fixed32, Fixed64, Fixed64List, Message as Sub, MessageOnce as Once, String, Varint,
    VarintList,
};

impl Message {
    const fn new<const N: usize>(list: [(usize, Field); N]) -> Self {
        let mut fields = [Field::Unknown; FIELD_NUMBER_MAX + 1];
        let mut index = 0;
        while index < N {
            fields[list[index].0] = list[index].1;
            index += 1;
        }
        Message { fields }
    }

    #[inline]
    pub(super) fn field(&self, number: u32) -> Field {
        self.fields
            .get(number as usize)
            .copied()
            .unwrap_or(Field::Unknown)
    }
}

pub(super) static TRACE_REQUEST: Message = Message::new([(1, Sub(&RESOURCE_SPANS))]);
pub(super) static METRICS_REQUEST: Message = Message::new([(1, Sub(&RESOURCE_METRICS))]);
pub(super) static LOGS_REQUEST: Message = Message::new([(1, Sub(&RESOURCE_LOGS))]);

// common.proto and resource.proto
static ANY_VALUE: Message = Message::new([
    (1, String),
    (2, Varint),
    (3, Varint),
    (4, Fixed64),
    (5, Once(&ARRAY_VALUE)),
    (6, Once(&KEY_VALUE_LIST)),
    (7, Bytes),
    (8, Varint),
]);
static ARRAY_VALUE: Message = Message::new([(1, Sub(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = Message::new([(1, Attribute)]);
pub(super) static KEY_VALUE: Message = Message::new([(1, String), (2, Once(&ANY_VALUE)), (3, Varint)]);
pub(super) static INSTRUMENTATION_SCOPE: Message =
    Message::new([(1, String), (2, String), (3, Attribute), (4, Varint)]);
static ENTITY_REF: Message = Message::new([(1, String), (2, String), (3, String), (4, String)]);
pub(super) static RESOURCE: Message = Message::new([(1, Attribute), (2, Varint), (3, Sub(&ENTITY_REF))]);

/// A trace request whose spans are not checked.
pub(super) static TRACE_ENVELOPE: Message = Message::new([(1, Sub(&RESOURCE_SPANS_ENVELOPE))]);
static RESOURCE_SPANS_ENVELOPE: Message =
    Message::new([(1, Sub(&RESOURCE)), (2, Sub(&SCOPE_SPANS_ENVELOPE)), (3, String)]);
static SCOPE_SPANS_ENVELOPE: Message =
    Message::new([(1, Sub(&INSTRUMENTATION_SCOPE)), (2, Bytes), (3, String)]);

// trace.proto
static RESOURCE_SPANS: Message = Message::new([(1, Sub(&RESOURCE)), (2, Sub(&SCOPE_SPANS)), (3, String)]);
static SCOPE_SPANS: Message = Message::new([(1, Sub(&INSTRUMENTATION_SCOPE)), (2, Sub(&SPAN)), (3, String)]);
pub(super) static SPAN: Message = Message::new([
    (1, Bytes),
    (2, Bytes),
    (3, String),
    (4, Bytes),
    (5, String),
    (6, Varint),
    (7, Fixed64),
    (8, Fixed64),
    (9, Attribute),
    (10, Varint),
    (11, Sub(&EVENT)),
    (12, Varint),
    (13, Sub(&LINK)),
    (14, Varint),
    (15, Sub(&STATUS)),
    (16, Fixed32),
]);
static EVENT: Message = Message::new([(1, Fixed64), (2, String), (3, Attribute), (4, Varint)]);
pub(super) static LINK: Message = Message::new([
    (1, Bytes),
    (2, Bytes),
    (3, String),
    (4, Attribute),
    (5, Varint),
    (6, Fixed32),
]);
pub(super) static STATUS: Message = Message::new([(2, String), (3, Varint)]);

// metrics.proto
static RESOURCE_METRICS: Message = Message::new([(1, Sub(&RESOURCE)), (2, Sub(&SCOPE_METRICS)), (3, String)]);
static SCOPE_METRICS: Message =
    Message::new([(1, Sub(&INSTRUMENTATION_SCOPE)), (2, Sub(&METRIC)), (3, String)]);
static METRIC: Message = Message::new([
    (1, String),
    (2, String),
    (3, String),
    (5, Once(&GAUGE)),
    (7, Once(&SUM)),
    (9, Once(&HISTOGRAM)),
    (10, Once(&EXPONENTIAL_HISTOGRAM)),
    (11, Once(&SUMMARY)),
    (12, Attribute),
]);
static GAUGE: Message = Message::new([(1, Sub(&NUMBER_DATA_POINT))]);
static SUM: Message = Message::new([(1, Sub(&NUMBER_DATA_POINT)), (2, Varint), (3, Varint)]);
static HISTOGRAM: Message = Message::new([(1, Sub(&HISTOGRAM_DATA_POINT)), (2, Varint)]);
static EXPONENTIAL_HISTOGRAM: Message =
    Message::new([(1, Sub(&EXPONENTIAL_HISTOGRAM_DATA_POINT)), (2, Varint)]);
static SUMMARY: Message = Message::new([(1, Sub(&SUMMARY_DATA_POINT))]);
static NUMBER_DATA_POINT: Message = Message::new([
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Sub(&EXEMPLAR)),
    (6, Fixed64),
    (7, Attribute),
    (8, Varint),
]);
static HISTOGRAM_DATA_POINT: Message = Message::new([
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Fixed64List),
    (7, Fixed64List),
    (8, Sub(&EXEMPLAR)),
    (9, Attribute),
    (10, Varint),
    (11, Fixed64),
    (12, Fixed64),
]);
static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = Message::new([
    (1, Attribute),
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Varint),
    (7, Fixed64),
    (8, Sub(&BUCKETS)),
    (9, Sub(&BUCKETS)),
    (10, Varint),
    (11, Sub(&EXEMPLAR)),
    (12, Fixed64),
    (13, Fixed64),
    (14, Fixed64),
]);
static BUCKETS: Message = Message::new([(1, Varint), (2, VarintList)]);
static SUMMARY_DATA_POINT: Message = Message::new([
    (2, Fixed64),
    (3, Fixed64),
    (4, Fixed64),
    (5, Fixed64),
    (6, Sub(&VALUE_AT_QUANTILE)),
    (7, Attribute),
    (8, Varint),
]);
static VALUE_AT_QUANTILE: Message = Message::new([(1, Fixed64), (2, Fixed64)]);
static EXEMPLAR: Message = Message::new([
    (2, Fixed64),
    (3, Fixed64),
    (4, Bytes),
    (5, Bytes),
    (6, Fixed64),
    (7, Attribute),
]);

// logs.proto
static RESOURCE_LOGS: Message = Message::new([(1, Sub(&RESOURCE)), (2, Sub(&SCOPE_LOGS)), (3, String)]);
static SCOPE_LOGS: Message = Message::new([
    (1, Sub(&INSTRUMENTATION_SCOPE)),
    (2, Sub(&LOG_RECORD)),
    (3, String),
]);
static LOG_RECORD: Message = Message::new([
    (1, Fixed64),
    (2, Varint),
    (3, String),
    (5, Sub(&ANY_VALUE)),
    (6, Attribute),
    (7, Varint),
    (8, Fixed32),
    (9, Bytes),
    (10, Bytes),
    (11, Fixed64),
    (12, String),
]);
