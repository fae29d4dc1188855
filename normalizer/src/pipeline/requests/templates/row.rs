//! [`RowTemplate`]: the text of a row with the places of the values that differ from span to span.

use aggregate::ids::NameId;
use aggregate::modules::InvocationFacts;
use aggregate::names::{Names, endpoint_key};
use cctf_proto::cctf::{
    Call, Field, Flag, Flags, Invocation, Row, Text, Value, field_index, is_error, push_field,
    push_json_string,
};

use super::super::encode::{RowSpan, Times, call, invocation};
use super::super::row_facts::{DerivedFieldOffsets, RowFacts};
use super::patches::{Patch, Patches};
use super::reading::{Meaning, Reading, SIZES, is_peer_varying};
use super::slot_set::SlotSet;
use crate::mapping::conventions::Slot;
use crate::mapping::{body_sizes, http_path, http_status, query};

/// Memory that the values of a row usually take, bytes.
const VALUES_BYTES: usize = 512;
/// Most parts of a text are at most this long, bytes.
const PIECE: usize = 64;

const QUERY: &Field = &Invocation::FIELDS[field_index(Invocation::FIELDS, "query")];
const PEER: &Field = &Call::FIELDS[field_index(Call::FIELDS, "peer")];
const RESEND_COUNT: &Field = &Call::FIELDS[field_index(Call::FIELDS, "resend_count")];
const ORIGINAL_TRACE: &Field = &Call::FIELDS[field_index(Call::FIELDS, "replay_of_trace_id")];
const ORIGINAL_SPAN: &Field = &Call::FIELDS[field_index(Call::FIELDS, "replay_of_span_id")];

/// The row of a template.
#[derive(Debug)]
pub struct RowTemplate {
    /// The parts of the text, and behind them [`PIECE`] zeros.
    text: Box<[u8]>,
    /// The length of each part, and the value behind it.
    parts: Box<[(usize, Patch)]>,
    varying: SlotSet,
    is_call: bool,
    /// Whether the request failed, as far as its error class says so.
    has_error_class: bool,
    is_truncated: bool,
    status: Option<i64>,
    sizes: (Option<u64>, Option<u64>),
    /// The receiver of a call, if it does not vary. Its name is in the text.
    peer: Option<NameId>,
    pub is_peer_varying: bool,
    endpoint: Endpoint,
}

/// The endpoint of an invocation, by method and route.
#[derive(Debug)]
enum Endpoint {
    Same(Option<NameId>),
    /// Method and route; `None` for a value that varies or is absent.
    Varying {
        method: Option<Box<str>>,
        route: Option<Box<str>>,
        is_path: bool,
    },
}

/// The values of a span that several patches need.
struct Values<'s> {
    times: Times,
    sizes: (Option<u64>, Option<u64>),
    status: Option<i64>,
    peer: Option<&'s str>,
}

impl RowTemplate {
    /// The template of a span's row. `peer` is the receiver of a call and its number. `None` if a name has no number yet.
    pub fn new<'a>(
        row: &RowSpan<'_, 'a>,
        of: &Meaning<'_, 'a>,
        reading: &Reading,
        varying: SlotSet,
        peer: Option<(&str, NameId)>,
        endpoints: &Names,
    ) -> Option<Self> {
        let mapped = of.mapped;
        let is_call = of.role.is_call();
        let error_type = row.error_type(mapped);
        let (mut text, mut ends) = (Vec::new(), Vec::new());
        let fields = if is_call {
            call(row, mapped, peer.map(|(peer, _)| peer), error_type).encode_with_ends(&mut text, &mut ends);
            Call::FIELDS
        } else {
            let times = Times::new(row.span, row.slots);
            let query = of.is_query_kept.then(|| query(row.slots)).flatten();
            invocation(row, mapped, &times, query, error_type, Vec::new())
                .encode_with_ends(&mut text, &mut ends);
            Invocation::FIELDS
        };
        let patches = Patches {
            reading,
            varying,
            is_call,
            has_parent: row.parent_span_id.is_some(),
            has_start: row.slots.has(Slot::StartTime),
            is_query_kept: of.is_query_kept,
        };
        let (mut text, parts) = patches.split(fields, &text, &ends);
        text.extend_from_slice(&[0; PIECE]);
        Some(Self {
            text: text.into(),
            parts: parts.into(),
            varying,
            is_call,
            has_error_class: error_type.is_some(),
            is_truncated: row.is_truncated() || (!is_call && row.span.dropped_links_count > 0),
            status: mapped.status,
            sizes: (mapped.bytes_in, mapped.bytes_out),
            peer: peer.map(|(_, number)| number),
            is_peer_varying: is_call && is_peer_varying(varying),
            endpoint: match is_call {
                true => Endpoint::Same(None),
                false => Endpoint::new(of, &patches, endpoints)?,
            },
        })
    }

    /// Size in memory, bytes.
    pub fn size(&self) -> usize {
        size_of::<Self>() + self.text.len() + size_of_val(&*self.parts)
    }

    /// The receiver of a call, if it does not vary.
    pub fn peer(&self) -> Option<NameId> {
        self.peer
    }

    /// Encodes the row of a span and appends it to `lines`. `peer` is the receiver, if it varies. `scratch` is overwritten.
    #[inline]
    pub fn encode(
        &self,
        row: &RowSpan<'_, '_>,
        peer: Option<&str>,
        endpoints: &mut Names,
        scratch: &mut String,
        lines: &mut Vec<u8>,
    ) -> (DerivedFieldOffsets, RowFacts) {
        let slots = row.slots;
        let values = Values {
            times: Times::new(row.span, slots),
            sizes: match self.varying.has_any(&SIZES) {
                true => body_sizes(row.span.kind, slots),
                false => self.sizes,
            },
            status: match self.varying.has(Slot::HttpStatus) {
                true => http_status(slots),
                false => self.status,
            },
            peer,
        };
        let offsets = self.push(row, &values, lines);
        let mut flags = if self.is_truncated {
            Flags::NONE.with(Flag::Truncated)
        } else {
            Flags::NONE
        };
        let is_negative = match self.is_call {
            true => values.times.residence.is_none(),
            false => values.times.is_any_negative(),
        };
        if is_negative {
            flags = flags.with(Flag::Negative);
        }
        let facts = RowFacts { flags, ..row.facts() };
        if self.is_call {
            return (offsets, facts);
        }
        let facts = RowFacts {
            starts_after_body: values.times.is_start_explicit,
            is_error: is_error(values.status, self.has_error_class.then_some("")),
            invocation: InvocationFacts {
                endpoint: self.endpoint.number(row, endpoints, scratch),
                service_ns: values.times.service.map(|time| time.as_ns()),
                cpu_ns: slots.unsigned(Slot::CpuTime),
                bytes_in: values.sizes.0,
                bytes_out: values.sizes.1,
            },
            ..facts
        };
        (offsets, facts)
    }

    #[inline]
    fn push(&self, row: &RowSpan<'_, '_>, values: &Values<'_>, lines: &mut Vec<u8>) -> DerivedFieldOffsets {
        let (slots, times) = (row.slots, &values.times);
        let begin = lines.len();
        lines.reserve(self.text.len() + VALUES_BYTES);
        let mut offsets = DerivedFieldOffsets { first: 0, second: 0 };
        let mut text = &*self.text;
        for &(length, patch) in &self.parts {
            push_part(text, length, lines);
            text = &text[length..];
            match patch {
                Patch::End => break,
                Patch::First => offsets.first = lines.len() - begin,
                Patch::Second => offsets.second = lines.len() - begin,
                Patch::TraceId => row.trace_id.encode(lines),
                Patch::SpanId => row.span_id.encode(lines),
                Patch::ParentSpanId => nullable(row.parent_span_id, lines),
                Patch::Enqueued => times.enqueued.encode(lines),
                Patch::Started => times.started.encode(lines),
                Patch::Ended => times.ended.encode(lines),
                Patch::Queue => nullable(times.queue, lines),
                Patch::Service => nullable(times.service, lines),
                Patch::Residence => nullable(times.residence, lines),
                Patch::Method => text_of(slots.text(Slot::HttpMethod), lines),
                Patch::Path => text_of(http_path(slots), lines),
                Patch::Route => text_of(slots.text(Slot::HttpRoute), lines),
                Patch::SessionId => text_of(slots.text(Slot::SessionId), lines),
                Patch::BytesIn => nullable(values.sizes.0, lines),
                Patch::BytesOut => nullable(values.sizes.1, lines),
                Patch::Status => nullable(values.status, lines),
                Patch::Time(slot) => nullable(row.milliseconds(slot), lines),
                Patch::OptionalTime(slot, field) => push_field(field, row.milliseconds(slot).as_ref(), lines),
                Patch::Query => push_field(QUERY, query(slots).map(Text::from).as_ref(), lines),
                Patch::Peer => push_field(PEER, values.peer.map(Text::from).as_ref(), lines),
                Patch::ResendCount => {
                    push_field(RESEND_COUNT, slots.unsigned(Slot::ResendCount).as_ref(), lines);
                }
                Patch::OriginalTrace => {
                    push_field(
                        ORIGINAL_TRACE,
                        row.original().map(|(trace, _)| trace).as_ref(),
                        lines,
                    );
                }
                Patch::OriginalSpan => {
                    push_field(
                        ORIGINAL_SPAN,
                        row.original().map(|(_, span)| span).as_ref(),
                        lines,
                    );
                }
            }
        }
        offsets
    }
}

/// Appends the first `length` bytes of `text`. It copies a piece of constant length, which takes no call, and cuts it. A row has
/// eleven parts of different lengths, so the processor would also mispredict branches in the copying function.
#[inline]
fn push_part(text: &[u8], length: usize, lines: &mut Vec<u8>) {
    match text.first_chunk::<PIECE>() {
        Some(piece) if length <= PIECE => {
            let end = lines.len() + length;
            lines.extend_from_slice(piece);
            lines.truncate(end);
        }
        _ => lines.extend_from_slice(&text[..length]),
    }
}

#[inline]
fn nullable<T: Value>(value: Option<T>, lines: &mut Vec<u8>) {
    match value {
        Some(value) => value.encode(lines),
        None => lines.extend_from_slice(b"null"),
    }
}

#[inline]
fn text_of(text: Option<&str>, lines: &mut Vec<u8>) {
    match text {
        Some(text) => push_json_string(text, lines),
        None => lines.extend_from_slice(b"null"),
    }
}

impl Endpoint {
    fn new(of: &Meaning<'_, '_>, patches: &Patches<'_>, endpoints: &Names) -> Option<Self> {
        let (mapped, is_method, is_path) = (of.mapped, patches.is_method(), patches.is_path());
        let (is_route, has_route) = (patches.is_route(), mapped.route.is_some());
        if is_method || is_route || is_path && !has_route {
            return Some(Self::Varying {
                method: mapped.method.filter(|_| !is_method).map(Box::from),
                route: match has_route {
                    true => mapped.route.filter(|_| !is_route).map(Box::from),
                    false => mapped.path.as_deref().filter(|_| !is_path).map(Box::from),
                },
                is_path: !has_route,
            });
        }
        let mut key = String::new();
        endpoint_key(mapped.method, mapped.route.or(mapped.path.as_deref()), &mut key);
        endpoints.find(&key).map(|number| Self::Same(Some(number)))
    }

    #[inline]
    fn number(&self, row: &RowSpan<'_, '_>, endpoints: &mut Names, key: &mut String) -> Option<NameId> {
        match self {
            Self::Same(number) => *number,
            Self::Varying {
                method,
                route,
                is_path,
            } => {
                let varying_route = || match is_path {
                    true => http_path(row.slots),
                    false => row.slots.text(Slot::HttpRoute),
                };
                let method = method.as_deref().or_else(|| row.slots.text(Slot::HttpMethod));
                endpoint_key(method, route.as_deref().or_else(varying_route), key);
                endpoints.number(key)
            }
        }
    }
}
