//! The fields of every OTLP message: their names in JSON, and their numbers and kinds in protobuf.

/// A message.
pub(super) struct Message {
    pub(super) fields: &'static [Field],
}

/// A field of a message.
pub(super) struct Field {
    /// lowerCamelCase.
    pub(super) name: &'static str,
    pub(super) number: u32,
    pub(super) kind: Kind,
    pub(super) repeated: bool,
}

/// The format of a field's value in JSON and in protobuf.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    String,
    /// Trace and span ids, as hex digits.
    Id,
    /// All other bytes, as base64.
    Bytes,
    Bool,
    /// Signed, as a varint; also enums.
    Int,
    /// Signed, zigzag-encoded.
    Sint,
    /// Unsigned, as a varint.
    Uint,
    Fixed32,
    Fixed64,
    Sfixed64,
    Double,
    Message(&'static Message),
}

impl Kind {
    /// Whether the value is an integer, so that all digits must be kept.
    pub(super) fn is_integer(self) -> bool {
        matches!(
            self,
            Self::Int | Self::Sint | Self::Uint | Self::Fixed32 | Self::Fixed64 | Self::Sfixed64
        )
    }

    /// Whether a repeated field of this kind is packed.
    pub(super) fn is_packed(self) -> bool {
        !matches!(self, Self::String | Self::Id | Self::Bytes | Self::Message(_))
    }
}

const fn one(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        number,
        kind,
        repeated: false,
    }
}

const fn many(number: u32, name: &'static str, kind: Kind) -> Field {
    Field {
        name,
        number,
        kind,
        repeated: true,
    }
}

const fn message(fields: &'static [Field]) -> Message {
    Message { fields }
}

use Kind::{Bool, Bytes, Double, Fixed32, Fixed64, Id, Int, Message as Sub, Sfixed64, Sint, String, Uint};

pub(super) static TRACE_REQUEST: Message = message(&[many(1, "resourceSpans", Sub(&RESOURCE_SPANS))]);
pub(super) static METRICS_REQUEST: Message = message(&[many(1, "resourceMetrics", Sub(&RESOURCE_METRICS))]);
pub(super) static LOGS_REQUEST: Message = message(&[many(1, "resourceLogs", Sub(&RESOURCE_LOGS))]);

// common.proto and resource.proto
static ANY_VALUE: Message = message(&[
    one(1, "stringValue", String),
    one(2, "boolValue", Bool),
    one(3, "intValue", Int),
    one(4, "doubleValue", Double),
    one(5, "arrayValue", Sub(&ARRAY_VALUE)),
    one(6, "kvlistValue", Sub(&KEY_VALUE_LIST)),
    one(7, "bytesValue", Bytes),
]);
static ARRAY_VALUE: Message = message(&[many(1, "values", Sub(&ANY_VALUE))]);
static KEY_VALUE_LIST: Message = message(&[many(1, "values", Sub(&KEY_VALUE))]);
static KEY_VALUE: Message = message(&[one(1, "key", String), one(2, "value", Sub(&ANY_VALUE))]);
static INSTRUMENTATION_SCOPE: Message = message(&[
    one(1, "name", String),
    one(2, "version", String),
    many(3, "attributes", Sub(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Uint),
]);
static ENTITY_REF: Message = message(&[
    one(1, "schemaUrl", String),
    one(2, "type", String),
    many(3, "idKeys", String),
    many(4, "descriptionKeys", String),
]);
static RESOURCE: Message = message(&[
    many(1, "attributes", Sub(&KEY_VALUE)),
    one(2, "droppedAttributesCount", Uint),
    many(3, "entityRefs", Sub(&ENTITY_REF)),
]);

// trace.proto
static RESOURCE_SPANS: Message = message(&[
    one(1, "resource", Sub(&RESOURCE)),
    many(2, "scopeSpans", Sub(&SCOPE_SPANS)),
    one(3, "schemaUrl", String),
]);
static SCOPE_SPANS: Message = message(&[
    one(1, "scope", Sub(&INSTRUMENTATION_SCOPE)),
    many(2, "spans", Sub(&SPAN)),
    one(3, "schemaUrl", String),
]);
static SPAN: Message = message(&[
    one(1, "traceId", Id),
    one(2, "spanId", Id),
    one(3, "traceState", String),
    one(4, "parentSpanId", Id),
    one(5, "name", String),
    one(6, "kind", Int),
    one(7, "startTimeUnixNano", Fixed64),
    one(8, "endTimeUnixNano", Fixed64),
    many(9, "attributes", Sub(&KEY_VALUE)),
    one(10, "droppedAttributesCount", Uint),
    many(11, "events", Sub(&EVENT)),
    one(12, "droppedEventsCount", Uint),
    many(13, "links", Sub(&LINK)),
    one(14, "droppedLinksCount", Uint),
    one(15, "status", Sub(&STATUS)),
    one(16, "flags", Fixed32),
]);
static EVENT: Message = message(&[
    one(1, "timeUnixNano", Fixed64),
    one(2, "name", String),
    many(3, "attributes", Sub(&KEY_VALUE)),
    one(4, "droppedAttributesCount", Uint),
]);
static LINK: Message = message(&[
    one(1, "traceId", Id),
    one(2, "spanId", Id),
    one(3, "traceState", String),
    many(4, "attributes", Sub(&KEY_VALUE)),
    one(5, "droppedAttributesCount", Uint),
    one(6, "flags", Fixed32),
]);
static STATUS: Message = message(&[one(2, "message", String), one(3, "code", Int)]);

// metrics.proto
static RESOURCE_METRICS: Message = message(&[
    one(1, "resource", Sub(&RESOURCE)),
    many(2, "scopeMetrics", Sub(&SCOPE_METRICS)),
    one(3, "schemaUrl", String),
]);
static SCOPE_METRICS: Message = message(&[
    one(1, "scope", Sub(&INSTRUMENTATION_SCOPE)),
    many(2, "metrics", Sub(&METRIC)),
    one(3, "schemaUrl", String),
]);
static METRIC: Message = message(&[
    one(1, "name", String),
    one(2, "description", String),
    one(3, "unit", String),
    one(5, "gauge", Sub(&GAUGE)),
    one(7, "sum", Sub(&SUM)),
    one(9, "histogram", Sub(&HISTOGRAM)),
    one(10, "exponentialHistogram", Sub(&EXPONENTIAL_HISTOGRAM)),
    one(11, "summary", Sub(&SUMMARY)),
    many(12, "metadata", Sub(&KEY_VALUE)),
]);
static GAUGE: Message = message(&[many(1, "dataPoints", Sub(&NUMBER_DATA_POINT))]);
static SUM: Message = message(&[
    many(1, "dataPoints", Sub(&NUMBER_DATA_POINT)),
    one(2, "aggregationTemporality", Int),
    one(3, "isMonotonic", Bool),
]);
static HISTOGRAM: Message = message(&[
    many(1, "dataPoints", Sub(&HISTOGRAM_DATA_POINT)),
    one(2, "aggregationTemporality", Int),
]);
static EXPONENTIAL_HISTOGRAM: Message = message(&[
    many(1, "dataPoints", Sub(&EXPONENTIAL_HISTOGRAM_DATA_POINT)),
    one(2, "aggregationTemporality", Int),
]);
static SUMMARY: Message = message(&[many(1, "dataPoints", Sub(&SUMMARY_DATA_POINT))]);
static NUMBER_DATA_POINT: Message = message(&[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "asDouble", Double),
    many(5, "exemplars", Sub(&EXEMPLAR)),
    one(6, "asInt", Sfixed64),
    many(7, "attributes", Sub(&KEY_VALUE)),
    one(8, "flags", Uint),
]);
static HISTOGRAM_DATA_POINT: Message = message(&[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    many(6, "bucketCounts", Fixed64),
    many(7, "explicitBounds", Double),
    many(8, "exemplars", Sub(&EXEMPLAR)),
    many(9, "attributes", Sub(&KEY_VALUE)),
    one(10, "flags", Uint),
    one(11, "min", Double),
    one(12, "max", Double),
]);
static EXPONENTIAL_HISTOGRAM_DATA_POINT: Message = message(&[
    many(1, "attributes", Sub(&KEY_VALUE)),
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    one(6, "scale", Sint),
    one(7, "zeroCount", Fixed64),
    one(8, "positive", Sub(&BUCKETS)),
    one(9, "negative", Sub(&BUCKETS)),
    one(10, "flags", Uint),
    many(11, "exemplars", Sub(&EXEMPLAR)),
    one(12, "min", Double),
    one(13, "max", Double),
    one(14, "zeroThreshold", Double),
]);
static BUCKETS: Message = message(&[one(1, "offset", Sint), many(2, "bucketCounts", Uint)]);
static SUMMARY_DATA_POINT: Message = message(&[
    one(2, "startTimeUnixNano", Fixed64),
    one(3, "timeUnixNano", Fixed64),
    one(4, "count", Fixed64),
    one(5, "sum", Double),
    many(6, "quantileValues", Sub(&VALUE_AT_QUANTILE)),
    many(7, "attributes", Sub(&KEY_VALUE)),
    one(8, "flags", Uint),
]);
static VALUE_AT_QUANTILE: Message = message(&[one(1, "quantile", Double), one(2, "value", Double)]);
static EXEMPLAR: Message = message(&[
    one(2, "timeUnixNano", Fixed64),
    one(3, "asDouble", Double),
    one(4, "spanId", Id),
    one(5, "traceId", Id),
    one(6, "asInt", Sfixed64),
    many(7, "filteredAttributes", Sub(&KEY_VALUE)),
]);

// logs.proto
static RESOURCE_LOGS: Message = message(&[
    one(1, "resource", Sub(&RESOURCE)),
    many(2, "scopeLogs", Sub(&SCOPE_LOGS)),
    one(3, "schemaUrl", String),
]);
static SCOPE_LOGS: Message = message(&[
    one(1, "scope", Sub(&INSTRUMENTATION_SCOPE)),
    many(2, "logRecords", Sub(&LOG_RECORD)),
    one(3, "schemaUrl", String),
]);
static LOG_RECORD: Message = message(&[
    one(1, "timeUnixNano", Fixed64),
    one(2, "severityNumber", Int),
    one(3, "severityText", String),
    one(5, "body", Sub(&ANY_VALUE)),
    many(6, "attributes", Sub(&KEY_VALUE)),
    one(7, "droppedAttributesCount", Uint),
    one(8, "flags", Fixed32),
    one(9, "traceId", Id),
    one(10, "spanId", Id),
    one(11, "observedTimeUnixNano", Fixed64),
    one(12, "eventName", String),
]);
