//! The headers of a request that this service reads, found in one pass.

/// Header with the number of hops a request has made.
pub const HOP_COUNT_HEADER: &str = "x-hop-count";
/// Header that names the next hop.
pub const NEXT_URL_HEADER: &str = "x-next-url";

/// The headers of a request that this service reads.
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
}

impl Header {
    const COUNT: usize = Self::ContentLength as usize + 1;

    /// The header of this name, in lower case.
    pub fn named(name: &str) -> Option<Self> {
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
            _ => return None,
        })
    }
}

/// The values of those headers, found in one pass: a look-up of each by name in an HTTP library's map makes a header name
/// of the text first, and allocates for the names that are no standard.
#[derive(Debug, Default, Clone, Copy)]
pub struct Headers<'a>([Option<&'a str>; Header::COUNT]);

impl<'a> Headers<'a> {
    /// Keeps the value of `name` if it is read here; the first one counts. `text` is asked for no other value.
    pub fn keep(&mut self, name: &str, text: impl FnOnce() -> Option<&'a str>) {
        if let Some(header) = Header::named(name) {
            let place = &mut self.0[header as usize];
            if place.is_none() {
                *place = text();
            }
        }
    }

    /// The header's value if it was there and is text.
    pub fn text(&self, header: Header) -> Option<&'a str> {
        self.0[header as usize]
    }
}
