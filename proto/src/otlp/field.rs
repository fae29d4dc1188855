//! Field numbers of OTLP's messages, for code that writes them: trace.proto, metrics.proto, resource.proto and common.proto.

// Requests of traces and of metrics have the same messages around spans and around metrics.
pub const RESOURCE_DATA: u32 = 1;
pub const RESOURCE: u32 = 1;
pub const RESOURCE_ATTRIBUTES: u32 = 1;
pub const SCOPE_DATA: u32 = 2;
pub const SCOPE: u32 = 1;
pub const SCOPE_NAME: u32 = 1;
pub const SCOPE_VERSION: u32 = 2;
pub const ITEM: u32 = 2;

pub const SPAN_TRACE_ID: u32 = 1;
pub const SPAN_ID: u32 = 2;
pub const SPAN_TRACE_STATE: u32 = 3;
pub const SPAN_PARENT: u32 = 4;
pub const SPAN_NAME: u32 = 5;
pub const SPAN_KIND: u32 = 6;
pub const SPAN_START: u32 = 7;
pub const SPAN_END: u32 = 8;
pub const SPAN_ATTRIBUTES: u32 = 9;
pub const SPAN_DROPPED_ATTRIBUTES: u32 = 10;
pub const SPAN_EVENT: u32 = 11;
pub const SPAN_LINK: u32 = 13;
pub const SPAN_DROPPED_LINKS: u32 = 14;
pub const SPAN_STATUS: u32 = 15;
pub const SPAN_FLAGS: u32 = 16;
pub const EVENT_TIME: u32 = 1;
pub const EVENT_NAME: u32 = 2;
pub const EVENT_ATTRIBUTES: u32 = 3;
pub const LINK_TRACE_ID: u32 = 1;
pub const LINK_SPAN_ID: u32 = 2;
pub const STATUS_MESSAGE: u32 = 2;
pub const STATUS_CODE: u32 = 3;

pub const METRIC_NAME: u32 = 1;
pub const METRIC_UNIT: u32 = 3;
pub const METRIC_GAUGE: u32 = 5;
pub const GAUGE_POINT: u32 = 1;
pub const POINT_TIME: u32 = 3;
pub const POINT_DOUBLE: u32 = 4;

pub const PAIR_KEY: u32 = 1;
pub const PAIR_VALUE: u32 = 2;
pub const ANY_STRING: u32 = 1;
pub const ANY_BOOL: u32 = 2;
pub const ANY_INT: u32 = 3;
pub const ANY_DOUBLE: u32 = 4;
