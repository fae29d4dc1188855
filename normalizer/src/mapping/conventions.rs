//! The table of span attributes: which key, of which generation of the semantic conventions, fills which slot.
//!
//! A key of a lower rank wins over one of a higher rank, whatever their order on the span, so that an SDK which sends
//! both generations (`OTEL_SEMCONV_STABILITY_OPT_IN=http/dup`) is read by the current one.
//! Source of the names: OpenTelemetry semantic conventions 1.38 (current), 1.20 and 1.4 (older).

use std::cell::Cell;
use std::sync::LazyLock;

use cctf_proto::cctf::{TEXT_BYTES_MAX, bounded};
use cctf_proto::keys;
use cctf_proto::otlp::WireError;
use cctf_proto::otlp::common::{AnyValue, Attributes};

/// What an attribute tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is explained by its keys in the table")]
#[repr(u8)]
pub enum Slot {
    HttpMethod,
    UrlPath,
    UrlQuery,
    HttpTarget,
    UrlFull,
    HttpRoute,
    HttpStatus,
    RequestBodySize,
    ResponseBodySize,
    ResendCount,
    RpcSystem,
    RpcService,
    RpcMethod,
    RpcStatus,
    MessagingSystem,
    MessagingOperation,
    MessagingDestination,
    MessageBodySize,
    TaskName,
    FaasTrigger,
    FaasName,
    FaasInvocation,
    ColdStart,
    DbSystem,
    DbOperation,
    DbTarget,
    DbStatement,
    PeerAddress,
    PeerPort,
    ErrorType,
    SessionId,
    RunId,
    StartTime,
    CpuTime,
    CpuWait,
    DownstreamTime,
    WakeupTime,
    SlotWait,
    PlacementEvent,
    Workers,
    QueueLimit,
    SlotPolicy,
    Replicas,
    FromNode,
    Reason,
}

const SLOTS: usize = Slot::Reason as usize + 1;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Convention {
    /// The attribute's key.
    pub key: &'static str,
    /// What it tells.
    pub slot: Slot,
    /// Its precedence within the slot; 0 is the current convention.
    pub rank: u8,
}

const fn row(key: &'static str, slot: Slot, rank: u8) -> Convention {
    Convention { key, slot, rank }
}

/// The table.
pub const TABLE: &[Convention] = &[
    row("http.request.method", Slot::HttpMethod, 0),
    row("http.method", Slot::HttpMethod, 1),
    row("url.path", Slot::UrlPath, 0),
    row("url.query", Slot::UrlQuery, 0),
    row("http.target", Slot::HttpTarget, 0),
    row("url.full", Slot::UrlFull, 0),
    row("http.url", Slot::UrlFull, 1),
    row("http.route", Slot::HttpRoute, 0),
    row("http.response.status_code", Slot::HttpStatus, 0),
    row("http.status_code", Slot::HttpStatus, 1),
    row("http.request.body.size", Slot::RequestBodySize, 0),
    row("http.request_content_length", Slot::RequestBodySize, 1),
    row("http.request.header.content-length", Slot::RequestBodySize, 2),
    row("http.request.header.content_length", Slot::RequestBodySize, 3),
    row("http.response.body.size", Slot::ResponseBodySize, 0),
    row("http.response_content_length", Slot::ResponseBodySize, 1),
    row("http.response.header.content-length", Slot::ResponseBodySize, 2),
    row("http.response.header.content_length", Slot::ResponseBodySize, 3),
    row("http.request.resend_count", Slot::ResendCount, 0),
    row("http.resend_count", Slot::ResendCount, 1),
    row("http.retry_count", Slot::ResendCount, 2),
    row("rpc.system.name", Slot::RpcSystem, 0),
    row("rpc.system", Slot::RpcSystem, 1),
    row("rpc.service", Slot::RpcService, 0),
    row("rpc.method", Slot::RpcMethod, 0),
    row("rpc.response.status_code", Slot::RpcStatus, 0),
    row("rpc.grpc.status_code", Slot::RpcStatus, 1),
    row("rpc.connect_rpc.error_code", Slot::RpcStatus, 2),
    row("rpc.jsonrpc.error_code", Slot::RpcStatus, 3),
    row("messaging.system", Slot::MessagingSystem, 0),
    row("messaging.operation.type", Slot::MessagingOperation, 0),
    row("messaging.operation", Slot::MessagingOperation, 1),
    row("messaging.operation.name", Slot::MessagingOperation, 2),
    row("celery.action", Slot::MessagingOperation, 3),
    row("messaging.destination.name", Slot::MessagingDestination, 0),
    row("messaging.destination", Slot::MessagingDestination, 1),
    row("messaging.message.body.size", Slot::MessageBodySize, 0),
    row("messaging.message.payload_size_bytes", Slot::MessageBodySize, 1),
    row("messaging.message_payload_size_bytes", Slot::MessageBodySize, 2),
    row("celery.task_name", Slot::TaskName, 0),
    row("faas.trigger", Slot::FaasTrigger, 0),
    row("faas.invoked_name", Slot::FaasName, 0),
    row("faas.name", Slot::FaasName, 1),
    row("faas.invocation_id", Slot::FaasInvocation, 0),
    row("faas.execution", Slot::FaasInvocation, 1),
    row("faas.coldstart", Slot::ColdStart, 0),
    row("db.system.name", Slot::DbSystem, 0),
    row("db.system", Slot::DbSystem, 1),
    row("db.operation.name", Slot::DbOperation, 0),
    row("db.operation", Slot::DbOperation, 1),
    row("db.collection.name", Slot::DbTarget, 0),
    row("db.sql.table", Slot::DbTarget, 1),
    row("db.mongodb.collection", Slot::DbTarget, 2),
    row("db.namespace", Slot::DbTarget, 3),
    row("db.name", Slot::DbTarget, 4),
    row("db.query.summary", Slot::DbStatement, 0),
    row("db.query.text", Slot::DbStatement, 1),
    row("db.statement", Slot::DbStatement, 2),
    row("server.address", Slot::PeerAddress, 0),
    row("net.peer.name", Slot::PeerAddress, 1),
    row("net.sock.peer.addr", Slot::PeerAddress, 2),
    row("net.peer.ip", Slot::PeerAddress, 3),
    row("server.port", Slot::PeerPort, 0),
    row("net.peer.port", Slot::PeerPort, 1),
    row("error.type", Slot::ErrorType, 0),
    row("session.id", Slot::SessionId, 0),
    row(keys::RUN_ID, Slot::RunId, 0),
    row(keys::START_TIME_UNIX_NANO, Slot::StartTime, 0),
    row(keys::CPU_TIME_NS, Slot::CpuTime, 0),
    row(keys::CPU_WAIT_NS, Slot::CpuWait, 0),
    row(keys::DOWNSTREAM_TIME_NS, Slot::DownstreamTime, 0),
    row(keys::WAKEUP_TIME_NS, Slot::WakeupTime, 0),
    row(keys::SLOT_WAIT_NS, Slot::SlotWait, 0),
    row(keys::PLACEMENT_EVENT, Slot::PlacementEvent, 0),
    row(keys::WORKERS, Slot::Workers, 0),
    row(keys::QUEUE_LIMIT, Slot::QueueLimit, 0),
    row(keys::SLOT_POLICY, Slot::SlotPolicy, 0),
    row(keys::REPLICAS, Slot::Replicas, 0),
    row(keys::FROM_NODE_ID, Slot::FromNode, 0),
    row(keys::REASON, Slot::Reason, 0),
];

/// Places of the hash table; a power of two, four times the rows, so that most unknown keys meet an empty place.
const PLACES: usize = 256;
const EMPTY: u8 = u8::MAX;
const _: () = assert!(TABLE.len() < EMPTY as usize && TABLE.len() * 3 < PLACES);

static PLACE_OF: LazyLock<[u8; PLACES]> = LazyLock::new(|| {
    let mut places = [EMPTY; PLACES];
    for (at, convention) in TABLE.iter().enumerate() {
        let mut place = place(convention.key.as_bytes());
        while places[place] != EMPTY {
            place = (place + 1) % PLACES;
        }
        places[place] = at as u8;
    }
    places
});

/// Hashes length and the last eight bytes: keys of one namespace differ in their ends.
#[inline]
fn place(key: &[u8]) -> usize {
    let mut tail = [0; 8];
    match key.last_chunk::<8>() {
        Some(chunk) => tail = *chunk,
        None => tail[..key.len()].copy_from_slice(key),
    }
    let mixed = (u64::from_le_bytes(tail) ^ (key.len() as u64) << 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> 56) as usize % PLACES
}

#[inline]
fn find(places: &[u8; PLACES], key: &[u8]) -> Option<Convention> {
    let mut place = place(key);
    loop {
        let at = places[place];
        if at == EMPTY {
            return None;
        }
        let convention = TABLE[usize::from(at)];
        if is_same(convention.key.as_bytes(), key) {
            return Some(convention);
        }
        place = (place + 1) % PLACES;
    }
}

/// Whether two keys are the same, without a call: nearly all that come this far are.
#[inline]
fn is_same(left: &[u8], right: &[u8]) -> bool {
    if left.len() != right.len() {
        return false;
    }
    let (Some(left_tail), Some(right_tail)) = (left.last_chunk::<8>(), right.last_chunk::<8>()) else {
        return left == right;
    };
    let (left_words, _) = left.as_chunks::<8>();
    let (right_words, _) = right.as_chunks::<8>();
    left_tail == right_tail
        && left_words
            .iter()
            .zip(right_words)
            .all(|(left, right)| left == right)
}

/// The attributes of one span, by slot. Made once a request and filled anew for each span.
#[derive(Debug)]
pub struct Slots<'a> {
    values: [AnyValue<'a>; SLOTS],
    ranks: [u8; SLOTS],
    places: &'static [u8; PLACES],
    is_cut: Cell<bool>,
}

const UNSET: u8 = u8::MAX;

impl<'a> Slots<'a> {
    /// No attributes.
    pub fn new() -> Self {
        Self {
            values: [AnyValue::Empty; SLOTS],
            ranks: [UNSET; SLOTS],
            places: &PLACE_OF,
            is_cut: Cell::new(false),
        }
    }

    /// Forgets the span before and takes this one's attributes.
    #[inline]
    pub fn fill(&mut self, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.ranks = [UNSET; SLOTS];
        self.is_cut.set(false);
        let (places, ranks, values) = (self.places, &mut self.ranks, &mut self.values);
        attributes.take_wanted(
            |key| find(places, key),
            |convention, value| {
                let slot = convention.slot as usize;
                if convention.rank < ranks[slot] {
                    ranks[slot] = convention.rank;
                    values[slot] = value;
                }
            },
        )
    }

    /// Forgets the span before; of this one, only this slot is known, and nobody but this key tells of it.
    #[inline]
    pub fn fill_one(&mut self, slot: Slot, key: &str, attributes: Attributes<'a>) -> Result<(), WireError> {
        self.ranks = [UNSET; SLOTS];
        self.is_cut.set(false);
        let (rank, slot_value) = (&mut self.ranks[slot as usize], &mut self.values[slot as usize]);
        attributes.take_wanted(
            |found| (found == key.as_bytes()).then_some(()),
            |(), value| {
                if *rank == UNSET {
                    *rank = 0;
                    *slot_value = value;
                }
            },
        )
    }

    /// The value of a slot.
    #[inline]
    pub fn get(&self, slot: Slot) -> Option<AnyValue<'a>> {
        self.value(slot).copied()
    }

    #[inline]
    fn value(&self, slot: Slot) -> Option<&AnyValue<'a>> {
        self.has(slot).then(|| &self.values[slot as usize])
    }

    /// Whether the slot is set.
    #[inline]
    pub fn has(&self, slot: Slot) -> bool {
        self.ranks[slot as usize] != UNSET
    }

    /// The text of a slot, as much of it as a field may hold; empty text counts as not told.
    #[inline]
    pub fn text(&self, slot: Slot) -> Option<&'a str> {
        match self.value(slot)? {
            AnyValue::String(text) if !text.is_empty() => Some(self.bounded(text)),
            _ => None,
        }
    }

    /// As much of a text of this span as a field may hold.
    #[inline]
    pub fn bounded(&self, text: &'a str) -> &'a str {
        if text.len() > TEXT_BYTES_MAX {
            self.is_cut.set(true);
        }
        bounded(text)
    }

    /// Whether a text of this span was too long for a field.
    pub fn is_cut(&self) -> bool {
        self.is_cut.get()
    }

    /// The whole number of a slot: SDKs send some as text, and header values as an array with one text.
    #[inline]
    pub fn integer(&self, slot: Slot) -> Option<i64> {
        match self.value(slot)? {
            AnyValue::Int(number) => Some(*number),
            other => integer(*other),
        }
    }

    /// The whole number of a slot, if it is not negative.
    #[inline]
    pub fn unsigned(&self, slot: Slot) -> Option<u64> {
        u64::try_from(self.integer(slot)?).ok()
    }
}

impl Default for Slots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

pub(super) fn integer(value: AnyValue<'_>) -> Option<i64> {
    match value {
        AnyValue::Int(number) => Some(number),
        AnyValue::Double(number) if number.fract() == 0.0 && number.abs() < 9e15 => Some(number as i64),
        AnyValue::String(text) => text.trim().parse().ok(),
        AnyValue::Array(values) => {
            let mut values = values.iter();
            match (values.next(), values.next()) {
                (Some(Ok(AnyValue::String(text))), None) => text.trim().parse().ok(),
                _ => None,
            }
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_stands_once() {
        for convention in TABLE {
            assert_eq!(
                find(&PLACE_OF, convention.key.as_bytes()).map(|found| found.slot),
                Some(convention.slot)
            );
            assert_eq!(
                TABLE.iter().filter(|other| other.key == convention.key).count(),
                1,
                "{}",
                convention.key
            );
        }
        assert!(find(&PLACE_OF, b"http.unknown").is_none());
        assert!(find(&PLACE_OF, b"").is_none());
    }
}
