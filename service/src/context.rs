//! The trace and run of a request, read from its headers, and the `traceparent` for the next hop.

use std::borrow::Cow;
use std::str::FromStr as _;

use cctf_proto::keys;
use opentelemetry::trace::{SpanContext, SpanId, TraceFlags, TraceId, TraceState};

use crate::headers::{Header, Headers};

/// Maximum length of baggage that is passed on; W3C Baggage requires support for this length.
pub const BAGGAGE_LEN_MAX: usize = 8192;

/// The User-Agent of calls.
pub const USER_AGENT: &str = concat!("tunable-svc/", env!("CARGO_PKG_VERSION"));

/// The trace and run that a request belongs to.
#[derive(Debug, Default, Clone)]
pub struct Origin {
    pub parent: Option<SpanContext>,
    /// A trace id without a parent span. Only the header X-Trace-Id gives this. It is read if there is no W3C trace context.
    pub trace_id: Option<TraceId>,
    /// The unchanged baggage, to be passed on.
    pub baggage: Option<Box<str>>,
    pub run_id: Option<Box<str>>,
    /// The baggage contained an invalid run id.
    pub run_id_refused: bool,
}

impl Origin {
    /// Reads W3C trace context and baggage. Without trace context, reads the runbook's headers, such as X-Trace-Id.
    pub fn read(headers: &Headers<'_>) -> Self {
        let mut origin = Self {
            parent: w3c_parent(headers),
            ..Self::default()
        };
        if origin.parent.is_none() {
            origin.read_runbook_headers(headers);
        }
        if let Some(baggage) = headers
            .text(Header::Baggage)
            .filter(|text| text.len() <= BAGGAGE_LEN_MAX)
        {
            origin.read_baggage(baggage);
        }
        origin
    }

    fn read_runbook_headers(&mut self, headers: &Headers<'_>) {
        self.trace_id = headers.text(Header::TraceId).and_then(parse_trace_id);
        let span = headers.text(Header::SpanId).and_then(parse_span_id);
        let span = span.or_else(|| headers.text(Header::ParentSpanId).and_then(parse_span_id));
        if let (Some(trace_id), Some(span_id)) = (self.trace_id, span) {
            let flags = TraceFlags::SAMPLED;
            self.parent = Some(SpanContext::new(trace_id, span_id, flags, true, TraceState::NONE));
        }
    }

    fn read_baggage(&mut self, baggage: &str) {
        if let Some(run_id) = baggage_member(baggage, keys::RUN_ID) {
            // A valid run id contains no encoded characters, so nothing is decoded.
            if keys::is_valid_run_id(run_id) {
                self.run_id = Some(run_id.into());
            } else {
                self.run_id_refused = true;
            }
        }
        self.baggage = Some(baggage.into());
    }
}

pub fn traceparent(span: &SpanContext) -> String {
    format!(
        "00-{}-{}-{:02x}",
        span.trace_id(),
        span.span_id(),
        span.trace_flags().to_u8() & 1
    )
}

/// Reads `traceparent` and `tracestate` according to W3C Trace Context. The SDK's propagator would allocate twice
/// for each request.
fn w3c_parent(headers: &Headers<'_>) -> Option<SpanContext> {
    let text = headers.text(Header::Traceparent)?;
    let mut parts = text.split('-');
    let (version, trace_id, span_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let is_known = version == "00" && parts.next().is_none();
    let is_later = version.len() == 2 && version != "ff" && version != "00" && parse_flags(version).is_some();
    if !(is_known || is_later) || text.bytes().any(|byte| byte.is_ascii_uppercase()) {
        return None;
    }
    let flags = TraceFlags::new(parse_flags(flags)? & TraceFlags::SAMPLED.to_u8());
    let state = headers
        .text(Header::Tracestate)
        .and_then(|state| TraceState::from_str(state).ok());
    let trace_id = parse_trace_id(trace_id).filter(|_| trace_id.len() == 32)?;
    Some(SpanContext::new(
        trace_id,
        parse_span_id(span_id)?,
        flags,
        true,
        state.unwrap_or_default(),
    ))
}

fn parse_flags(text: &str) -> Option<u8> {
    let is_hex = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    u8::from_str_radix(text, 16).ok().filter(|_| is_hex)
}

/// Accepts a UUID's dashes, which some clients send in the runbook's header.
fn parse_trace_id(text: &str) -> Option<TraceId> {
    let digits = if text.len() == 36 {
        Cow::Owned(text.replace('-', ""))
    } else {
        Cow::Borrowed(text)
    };
    let is_hex = digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = TraceId::from_hex(&digits).ok().filter(|_| is_hex)?;
    (id != TraceId::INVALID).then_some(id)
}

fn parse_span_id(text: &str) -> Option<SpanId> {
    let is_hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = SpanId::from_hex(text).ok().filter(|_| is_hex)?;
    (id != SpanId::INVALID).then_some(id)
}

fn baggage_member<'a>(baggage: &'a str, name: &str) -> Option<&'a str> {
    baggage.split(',').find_map(|member| {
        let (key, rest) = member.split_once('=')?;
        let value = rest.split_once(';').map_or(rest, |(value, _properties)| value);
        (key.trim() == name).then_some(value.trim())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers_of(pairs: &[(&str, &'static str)]) -> Headers<'static> {
        let mut headers = Headers::default();
        for (name, value) in pairs {
            headers.keep(name, || Some(value));
        }
        headers
    }

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn a_traceparent_names_the_caller_and_whether_it_is_sampled() {
        let headers = headers_of(&[
            (
                "traceparent",
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
            ),
            ("tracestate", "ot=th:8"),
            ("x-trace-id", "11111111111111111111111111111111"),
        ]);
        let parent = Origin::read(&headers).parent.unwrap();
        assert_eq!(parent.trace_id().to_string(), TRACE);
        assert_eq!(parent.span_id().to_string(), SPAN);
        assert!(!parent.is_sampled() && parent.is_remote());
        assert_eq!(parent.trace_state().header(), "ot=th:8");
        assert_eq!(
            traceparent(&parent),
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
        );
    }

    #[test]
    fn the_runbooks_headers_apply_without_a_traceparent() {
        let headers = headers_of(&[("x-trace-id", TRACE), ("x-parent-span-id", SPAN)]);
        let parent = Origin::read(&headers).parent.unwrap();
        assert_eq!(
            (parent.trace_id().to_string(), parent.span_id().to_string()),
            (TRACE.into(), SPAN.into())
        );
        assert!(parent.is_sampled());

        let uuid = headers_of(&[("x-trace-id", "0af76519-16cd-43dd-8448-eb211c80319c")]);
        let origin = Origin::read(&uuid);
        assert!(origin.parent.is_none());
        assert_eq!(origin.trace_id.unwrap().to_string(), TRACE);
    }

    #[test]
    fn invalid_ids_are_ignored() {
        for bad in [
            "",
            "00-0-0-00",
            "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            "garbage",
        ] {
            let origin = Origin::read(&headers_of(&[("traceparent", bad), ("x-trace-id", bad)]));
            assert!(origin.parent.is_none() && origin.trace_id.is_none(), "{bad}");
        }
    }

    #[test]
    fn a_later_versions_traceparent_is_read_as_far_as_it_is_known() {
        let headers = headers_of(&[(
            "traceparent",
            "cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes",
        )]);
        let parent = Origin::read(&headers).parent;
        assert!(parent.is_some_and(|parent| parent.is_sampled()));
    }

    #[test]
    fn the_run_is_read_from_the_baggage() {
        let origin = Origin::read(&headers_of(&[("baggage", "a=b, cctf.run_id = run-1;ttl=3 ,c=d")]));
        assert_eq!(origin.run_id.as_deref(), Some("run-1"));
        assert_eq!(
            origin.baggage.as_deref(),
            Some("a=b, cctf.run_id = run-1;ttl=3 ,c=d")
        );
        let escaping = Origin::read(&headers_of(&[("baggage", "cctf.run_id=../../etc")]));
        assert!(escaping.run_id.is_none() && escaping.run_id_refused);
        let of_ours = Origin::read(&headers_of(&[("baggage", "cctf.run_id=latest")]));
        assert!(of_ours.run_id.is_none() && of_ours.run_id_refused);
    }
}
