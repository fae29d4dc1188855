//! [`Container`] and [`Keys`]: the JSON keys by which the format of a record is recognised.

/// An array whose elements are records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    ResourceSpans,
    ResourceMetrics,
    ResourceLogs,
    /// The traces of Jaeger's API and UI.
    Data,
}

impl Container {
    /// The array under this key of a document.
    pub fn of_key(key: &[u8]) -> Option<Self> {
        match key {
            b"resourceSpans" | b"resource_spans" => Some(Self::ResourceSpans),
            b"resourceMetrics" | b"resource_metrics" => Some(Self::ResourceMetrics),
            b"resourceLogs" | b"resource_logs" => Some(Self::ResourceLogs),
            b"data" => Some(Self::Data),
            _ => None,
        }
    }
}

/// A set of known keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Keys(u16);

impl Keys {
    pub const RESOURCE_SPANS: Self = Self(1);
    pub const RESOURCE_METRICS: Self = Self(1 << 1);
    pub const RESOURCE_LOGS: Self = Self(1 << 2);
    pub const SCOPE_SPANS: Self = Self(1 << 3);
    pub const SCOPE_METRICS: Self = Self(1 << 4);
    pub const SCOPE_LOGS: Self = Self(1 << 5);
    /// Keys of a trace in Jaeger's format.
    pub const SPANS: Self = Self(1 << 6);
    pub const PROCESSES: Self = Self(1 << 7);
    /// Keys of a span in Zipkin's format.
    pub const TRACE_ID: Self = Self(1 << 8);
    pub const ID: Self = Self(1 << 9);

    /// Adds a key, if it is a known one.
    pub fn note(&mut self, key: &[u8]) {
        let known = match key {
            b"resourceSpans" | b"resource_spans" => Self::RESOURCE_SPANS,
            b"resourceMetrics" | b"resource_metrics" => Self::RESOURCE_METRICS,
            b"resourceLogs" | b"resource_logs" => Self::RESOURCE_LOGS,
            b"scopeSpans" | b"scope_spans" => Self::SCOPE_SPANS,
            b"scopeMetrics" | b"scope_metrics" => Self::SCOPE_METRICS,
            b"scopeLogs" | b"scope_logs" => Self::SCOPE_LOGS,
            b"spans" => Self::SPANS,
            b"processes" => Self::PROCESSES,
            b"traceId" => Self::TRACE_ID,
            b"id" => Self::ID,
            _ => return,
        };
        self.0 |= known.0;
    }

    /// Whether the set has all of these keys.
    pub fn has(self, keys: &[Self]) -> bool {
        keys.iter().all(|key| self.0 & key.0 != 0)
    }
}
