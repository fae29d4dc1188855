//! The headers of a request that this service reads, found in one pass.

pub const HOP_COUNT_HEADER: &str = "x-hop-count";
pub const NEXT_URL_HEADER: &str = "x-next-url";
pub use standin::PLAN_HEADER;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Header {
    Traceparent,
    Tracestate,
    Baggage,
    TraceId,
    SpanId,
    ParentSpanId,
    HopCount,
    NextUrl,
    Host,
    ContentLength,
    Plan,
}

impl Header {
    const COUNT: usize = Self::Plan as usize + 1;

    /// `name` is in lower case.
    fn from_name(name: &str) -> Option<Self> {
        Some(match name {
            "traceparent" => Self::Traceparent,
            "tracestate" => Self::Tracestate,
            "baggage" => Self::Baggage,
            "x-trace-id" => Self::TraceId,
            "x-span-id" => Self::SpanId,
            "x-parent-span-id" => Self::ParentSpanId,
            HOP_COUNT_HEADER => Self::HopCount,
            NEXT_URL_HEADER => Self::NextUrl,
            "host" => Self::Host,
            "content-length" => Self::ContentLength,
            PLAN_HEADER => Self::Plan,
            _ => return None,
        })
    }
}

/// The values of the headers in [`Header`]. Finding them in one pass is cheaper than lookups by name in the HTTP library's map:
/// each lookup parses the name, and allocates for non-standard names.
#[derive(Debug, Default, Clone, Copy)]
pub struct Headers<'a>([Option<&'a str>; Header::COUNT]);

impl<'a> Headers<'a> {
    /// Keeps the value of a header if this service reads it, and if the request has no earlier header with this name. Otherwise
    /// `text` is not called.
    pub fn keep(&mut self, name: &str, text: impl FnOnce() -> Option<&'a str>) {
        if let Some(header) = Header::from_name(name) {
            let value = &mut self.0[header as usize];
            if value.is_none() {
                *value = text();
            }
        }
    }

    /// The value of a header; none if it is absent or not text.
    pub fn text(&self, header: Header) -> Option<&'a str> {
        self.0[header as usize]
    }
}
