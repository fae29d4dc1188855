//! [`Reading`]: which parts of a span may vary within a template, and which of the varying values a row needs.
//!
//! A part may vary if its value is copied into the row, if only values of the row are computed from it, or if it is not read at
//! all. Everything that decides the role, the protocol, or which attribute a field is read from is the same in all spans of a
//! template.

use cctf_proto::otlp::pattern::Agreement;
use cctf_proto::otlp::trace::Span;
use cctf_proto::otlp::usual::{UsualSpan, Value};

use super::slot_set::SlotSet;
use crate::join::Role;
use crate::mapping::conventions::Slot;
use crate::mapping::{AttributeSlots, MappedSpan, convention_of, is_blank};

const PATHS: [Slot; 3] = [Slot::UrlPath, Slot::HttpTarget, Slot::UrlFull];
pub const QUERIES: [Slot; 3] = [Slot::UrlQuery, Slot::HttpTarget, Slot::UrlFull];
pub const SIZES: [Slot; 3] = [
    Slot::RequestBodySize,
    Slot::ResponseBodySize,
    Slot::MessageBodySize,
];
const PEERS: [Slot; 5] = [
    Slot::PeerAddress,
    Slot::PeerPort,
    Slot::UrlFull,
    Slot::DbSystem,
    Slot::MessagingDestination,
];
const ORIGINALS: [Slot; 2] = [Slot::ReplayOfTrace, Slot::ReplayOfSpan];

/// A span, with the results of the mapping.
pub struct Meaning<'s, 'a> {
    pub span: &'s Span<'a>,
    pub slots: &'s AttributeSlots<'a>,
    pub mapped: &'s MappedSpan<'a>,
    pub role: Role,
    /// Whether the span has no row, so that only its run is read.
    pub is_inner_work: bool,
    pub is_query_kept: bool,
}

/// How an attribute is read.
#[derive(Debug, Clone, Copy)]
struct Read {
    /// The slot that it fills.
    slot: Option<Slot>,
    may_vary: bool,
}

/// How the parts of a span are read.
pub struct Reading {
    attributes: Vec<Read>,
    pub name_may_vary: bool,
    /// Whether method, path and route are those of HTTP.
    pub is_http: bool,
    /// The slot with the path of HTTP.
    pub path: Option<Slot>,
    /// Equal for two spans if all parts that may not vary are equal.
    pub signature: Box<[u8]>,
}

impl Reading {
    /// `None` if the attributes cannot be parsed.
    pub fn new(usual: &UsualSpan<'_>, of: &Meaning<'_, '_>) -> Option<Self> {
        let is_http = of.mapped.protocol == Some("http");
        let has_endpoint = of.mapped.method.is_some() && of.mapped.path.is_some();
        let winners = if of.is_inner_work {
            run_id(usual)
        } else {
            winners(usual)?
        };
        let may_vary =
            |slot: Slot, value: Value<'_>| of.is_inner_work || of.may_slot_vary(slot, value, has_endpoint);
        let attributes: Vec<Read> = usual
            .attributes
            .iter()
            .zip(&winners)
            .map(|(attribute, winner)| Read {
                slot: winner.slot,
                may_vary: match winner.slot {
                    Some(Slot::RunId) => false,
                    Some(slot) => attribute.value.is_some_and(|value| may_vary(slot, value)),
                    None => !attribute.key.is_empty() && !winner.is_known,
                },
            })
            .collect();
        let is_name_read = match of.is_inner_work {
            true => of.role != Role::Internal,
            false => of.mapped.protocol.is_none() || !has_endpoint,
        };
        let path = PATHS.into_iter().find(|&slot| of.slots.text(slot).is_some());
        let mut reading = Self {
            attributes,
            name_may_vary: !is_name_read,
            is_http,
            path: path.filter(|_| is_http),
            signature: Box::default(),
        };
        reading.signature = reading.sign(usual);
        Some(reading)
    }

    fn sign(&self, usual: &UsualSpan<'_>) -> Box<[u8]> {
        let mut signature = Vec::new();
        let mut push = |mark: u8, bytes: &[u8]| {
            signature.push(mark);
            signature.extend_from_slice(&(bytes.len() as u32).to_le_bytes());
            signature.extend_from_slice(bytes);
        };
        let span = &usual.span;
        push(usual.kind_byte, &[u8::from(!span.parent_span_id.is_empty())]);
        push(0, if self.name_may_vary { b"" } else { usual.name });
        for (read, attribute) in self.attributes.iter().zip(&usual.attributes) {
            match (read.may_vary, attribute.value) {
                (false, _) => push(1, attribute.bytes),
                (true, _) if read.slot.is_none() => push(2, attribute.key),
                (true, Some(Value::Int(_))) => push(3, attribute.key),
                (true, _) => push(4, attribute.key),
            }
        }
        push(5, usual.tail);
        signature.into()
    }

    /// The attributes in which two spans with this signature differ, as bits.
    pub fn differences(&self, one: &UsualSpan<'_>, other: &UsualSpan<'_>) -> u64 {
        let pairs = one.attributes.iter().zip(&other.attributes).zip(&self.attributes);
        pairs.enumerate().fold(0, |bits, (index, ((one, other), read))| {
            bits | u64::from(read.may_vary && one.bytes != other.bytes) << index
        })
    }

    /// The slots whose values vary.
    pub fn varying(&self, holes: u64) -> SlotSet {
        let mut varying = SlotSet::default();
        for (index, read) in self.attributes.iter().enumerate() {
            if let Some(slot) = read.slot.filter(|_| holes >> index & 1 != 0) {
                varying.insert(slot);
            }
        }
        varying
    }

    /// For each attribute, how further spans must agree with this one. `None` if the pattern cannot return a value that is read.
    pub fn agreements(
        &self,
        usual: &UsualSpan<'_>,
        holes: u64,
        read: SlotSet,
    ) -> Option<Vec<Agreement<Slot>>> {
        let each = self.attributes.iter().zip(&usual.attributes).enumerate();
        each.map(|(index, (of, attribute))| {
            let tag = of.slot.filter(|&slot| read.has(slot));
            match (holes >> index & 1 != 0, attribute.value) {
                (_, None) if tag.is_some() => None,
                (false, _) => Some(Agreement::Same(tag)),
                (true, _) if of.slot.is_none() => Some(Agreement::Ignored),
                (true, Some(Value::Int(_))) => Some(Agreement::Int(tag)),
                (true, _) => Some(Agreement::Text(tag)),
            }
        })
        .collect()
    }

    /// The slots whose values are needed for each row of a template in which the slots in `varying` vary.
    pub fn slots_read(&self, of: &Meaning<'_, '_>, varying: SlotSet, has_row: bool) -> SlotSet {
        let mut read = SlotSet::of(&[Slot::RunId]);
        if !has_row {
            return read;
        }
        // The slots that vary, and further slots whose values a field needs together with a varying one.
        read = read.with(varying);
        for together in [&SIZES[..], &ORIGINALS] {
            if varying.has_any(together) {
                read = read.with(SlotSet::of(together));
            }
        }
        if of.role.is_call() {
            if is_peer_varying(varying) {
                read = read.with(SlotSet::of(&PEERS));
            }
        } else {
            read = read.with(SlotSet::of(&[Slot::StartTime, Slot::CpuTime]));
            if of.is_query_kept && varying.has_any(&QUERIES) {
                read = read.with(SlotSet::of(&QUERIES));
            }
        }
        read
    }
}

/// Whether the peer of a call varies.
pub fn is_peer_varying(varying: SlotSet) -> bool {
    varying.has_any(&PEERS)
}

impl Meaning<'_, '_> {
    /// Whether a value of this slot determines at most values in the row. `has_endpoint` states whether method and path
    /// are known, so that the span's name is not read.
    fn may_slot_vary(&self, slot: Slot, value: Value<'_>, has_endpoint: bool) -> bool {
        let protocol = self.mapped.protocol;
        let (is_http, is_text) = (protocol == Some("http"), matches!(value, Value::Text(_)));
        match slot {
            Slot::HttpMethod | Slot::HttpRoute => is_text && (!is_http || has_endpoint),
            // An RPC without a method takes it from the path.
            Slot::UrlPath | Slot::HttpTarget | Slot::UrlFull => match protocol {
                Some("rpc") => is_text && self.slots.text(Slot::RpcMethod).is_some(),
                _ => is_text && (!is_http || has_endpoint),
            },
            Slot::DbStatement => {
                is_text && (protocol != Some("db") || self.slots.text(Slot::DbOperation).is_some())
            }
            Slot::HttpStatus => is_http && !is_text,
            Slot::UrlQuery
            | Slot::PeerAddress
            | Slot::SessionId
            | Slot::ReplayOfTrace
            | Slot::ReplayOfSpan
            | Slot::FaasInvocation => is_text,
            Slot::RequestBodySize
            | Slot::ResponseBodySize
            | Slot::MessageBodySize
            | Slot::PeerPort
            | Slot::ResendCount
            | Slot::StartTime
            | Slot::CpuTime
            | Slot::CpuWait
            | Slot::DownstreamTime
            | Slot::WakeupTime
            | Slot::SlotWait
            | Slot::Lateness => !is_text,
            _ => false,
        }
    }
}

/// The role of an attribute among the attributes for the same slot.
struct Winner {
    /// The slot, if this attribute fills it.
    slot: Option<Slot>,
    /// Whether its key is in the table of conventions, so that its value is parsed and may decide which attribute fills the slot.
    is_known: bool,
}

/// The attributes that fill the slots, as [`AttributeSlots::fill`] decides.
fn winners(usual: &UsualSpan<'_>) -> Option<Vec<Winner>> {
    let mut winners: Vec<Winner> = Vec::with_capacity(usual.attributes.len());
    let mut ranks: Vec<(Slot, u8, usize)> = Vec::new();
    for (index, attribute) in usual.span.attributes().iter().enumerate() {
        let attribute = attribute.ok()?;
        let convention = convention_of(attribute.key.as_bytes());
        let is_blank = convention.is_some_and(|of| is_blank(of.slot, &attribute.value));
        let mut slot = None;
        if let Some(of) = convention.filter(|_| !is_blank) {
            match ranks.iter_mut().find(|(known, ..)| *known == of.slot) {
                None => {
                    ranks.push((of.slot, of.rank, index));
                    slot = Some(of.slot);
                }
                Some((_, rank, winner)) if of.rank < *rank => {
                    winners[*winner].slot = None;
                    (*rank, *winner) = (of.rank, index);
                    slot = Some(of.slot);
                }
                Some(_) => {}
            }
        }
        winners.push(Winner {
            slot,
            is_known: convention.is_some(),
        });
    }
    (winners.len() == usual.attributes.len()).then_some(winners)
}

/// The attributes of inner work: only the first run id is read.
fn run_id(usual: &UsualSpan<'_>) -> Vec<Winner> {
    let key = cctf_proto::keys::RUN_ID.as_bytes();
    let mut is_first = true;
    let attributes = usual.attributes.iter();
    attributes
        .map(|attribute| {
            let is_known = attribute.key == key;
            let slot = (is_known && std::mem::replace(&mut is_first, !is_known)).then_some(Slot::RunId);
            Winner { slot, is_known }
        })
        .collect()
}
