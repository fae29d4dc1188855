//! The table of span attributes: the key, its slot, and its rank among the generations of the semantic conventions.
//!
//! If a span has several keys for one slot, the key with the lowest rank is used, whatever their order. So if an SDK sends both
//! generations (`OTEL_SEMCONV_STABILITY_OPT_IN=http/dup`), the current one is used.
//! Sources of the names: OpenTelemetry semantic conventions 1.38 (current), 1.20 and 1.4 (older). `request_size`, `error` and
//! `grpc.*` are names of Envoy, grpc-dotnet and go-grpc-middleware; `http.path` and `http.*.size` are names of Zipkin.
//! An empty text counts as missing, so it never hides a value of another key.

use std::sync::LazyLock;

use cctf_proto::keys;

/// The meaning of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    GrpcStatus,
    GrpcContentType,
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
    Error,
    RunId,
    StartTime,
    CpuTime,
    CpuWait,
    DownstreamTime,
    WakeupTime,
    SlotWait,
    Lateness,
    ReplayOfTrace,
    ReplayOfSpan,
    PlacementEvent,
    Workers,
    QueueLimit,
    SlotPolicy,
    Replicas,
    FromNode,
    Reason,
}

pub(super) const SLOTS: usize = Slot::Reason as usize + 1;

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct Convention {
    pub key: &'static str,
    pub slot: Slot,
    /// Precedence of the key within the slot. 0 is the current convention.
    pub rank: u8,
}

const fn row(key: &'static str, slot: Slot, rank: u8) -> Convention {
    Convention { key, slot, rank }
}

pub const TABLE: &[Convention] = &[
    row("http.request.method", Slot::HttpMethod, 0),
    row("http.method", Slot::HttpMethod, 1),
    row("url.path", Slot::UrlPath, 0),
    row("url.query", Slot::UrlQuery, 0),
    row("http.path", Slot::UrlPath, 1),
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
    row("http.request.size", Slot::RequestBodySize, 4),
    row("request_size", Slot::RequestBodySize, 5),
    row("http.response.body.size", Slot::ResponseBodySize, 0),
    row("http.response_content_length", Slot::ResponseBodySize, 1),
    row("http.response.header.content-length", Slot::ResponseBodySize, 2),
    row("http.response.header.content_length", Slot::ResponseBodySize, 3),
    row("http.response.size", Slot::ResponseBodySize, 4),
    row("response_size", Slot::ResponseBodySize, 5),
    row("http.request.resend_count", Slot::ResendCount, 0),
    row("http.resend_count", Slot::ResendCount, 1),
    row("http.retry_count", Slot::ResendCount, 2),
    row("rpc.system.name", Slot::RpcSystem, 0),
    row("rpc.system", Slot::RpcSystem, 1),
    row("rpc.service", Slot::RpcService, 0),
    row("grpc.service", Slot::RpcService, 1),
    row("rpc.method", Slot::RpcMethod, 0),
    row("grpc.full_method", Slot::RpcMethod, 1),
    row("grpc.method", Slot::RpcMethod, 2),
    row("grpc.path", Slot::RpcMethod, 3),
    row("rpc.response.status_code", Slot::RpcStatus, 0),
    row("rpc.connect_rpc.error_code", Slot::RpcStatus, 1),
    row("rpc.jsonrpc.error_code", Slot::RpcStatus, 2),
    row("rpc.grpc.status_code", Slot::GrpcStatus, 0),
    row("grpc.status_code", Slot::GrpcStatus, 1),
    row("grpc.code", Slot::GrpcStatus, 2),
    row("rpc.grpc.response.metadata.grpc-status", Slot::GrpcStatus, 3),
    row("http.response.header.grpc-status", Slot::GrpcStatus, 4),
    row("http.response.header.grpc_status", Slot::GrpcStatus, 5),
    row("grpc.content_type", Slot::GrpcContentType, 0),
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
    row("error", Slot::Error, 0),
    row(keys::RUN_ID, Slot::RunId, 0),
    row(keys::START_TIME_UNIX_NANO, Slot::StartTime, 0),
    row(keys::CPU_TIME_NS, Slot::CpuTime, 0),
    row(keys::CPU_WAIT_NS, Slot::CpuWait, 0),
    row(keys::DOWNSTREAM_TIME_NS, Slot::DownstreamTime, 0),
    row(keys::WAKEUP_TIME_NS, Slot::WakeupTime, 0),
    row(keys::SLOT_WAIT_NS, Slot::SlotWait, 0),
    row(keys::LATENESS_NS, Slot::Lateness, 0),
    row(keys::REPLAY_OF_TRACE_ID, Slot::ReplayOfTrace, 0),
    row(keys::REPLAY_OF_SPAN_ID, Slot::ReplayOfSpan, 0),
    row(keys::PLACEMENT_EVENT, Slot::PlacementEvent, 0),
    row(keys::WORKERS, Slot::Workers, 0),
    row(keys::QUEUE_LIMIT, Slot::QueueLimit, 0),
    row(keys::SLOT_POLICY, Slot::SlotPolicy, 0),
    row(keys::REPLICAS, Slot::Replicas, 0),
    row(keys::FROM_NODE_ID, Slot::FromNode, 0),
    row(keys::REASON, Slot::Reason, 0),
];

/// Buckets of the hash table: a power of two, more than three times the number of rows, so that most unknown keys hit an empty
/// bucket.
pub(super) const BUCKETS: usize = 512;
const EMPTY: u8 = u8::MAX;
const _: () = assert!(TABLE.len() < EMPTY as usize && TABLE.len() * 3 < BUCKETS);

pub(super) static ROW_BY_BUCKET: LazyLock<[u8; BUCKETS]> = LazyLock::new(|| {
    let mut buckets = [EMPTY; BUCKETS];
    for (index, convention) in TABLE.iter().enumerate() {
        let mut bucket = bucket(convention.key.as_bytes());
        while buckets[bucket] != EMPTY {
            bucket = (bucket + 1) % BUCKETS;
        }
        buckets[bucket] = index as u8;
    }
    buckets
});

/// Hashes the length and the last eight bytes, because keys of one namespace differ at their ends.
#[inline]
fn bucket(key: &[u8]) -> usize {
    let mut tail = [0; 8];
    match key.last_chunk::<8>() {
        Some(chunk) => tail = *chunk,
        None => tail[..key.len()].copy_from_slice(key),
    }
    let mixed = (u64::from_le_bytes(tail) ^ (key.len() as u64) << 3).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    (mixed >> (u64::BITS - BUCKETS.ilog2())) as usize
}

/// The row of a key.
#[inline]
pub(super) fn find(buckets: &[u8; BUCKETS], key: &[u8]) -> Option<Convention> {
    let mut bucket = bucket(key);
    loop {
        let row = buckets[bucket];
        if row == EMPTY {
            return None;
        }
        let convention = TABLE[usize::from(row)];
        if is_same(convention.key.as_bytes(), key) {
            return Some(convention);
        }
        bucket = (bucket + 1) % BUCKETS;
    }
}

/// Compares two keys without a function call. Nearly all keys that reach this point are equal.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_key_is_found_and_unique() {
        for convention in TABLE {
            assert_eq!(
                find(&ROW_BY_BUCKET, convention.key.as_bytes()).map(|found| found.slot),
                Some(convention.slot)
            );
            assert_eq!(
                TABLE.iter().filter(|other| other.key == convention.key).count(),
                1,
                "{}",
                convention.key
            );
        }
        assert!(find(&ROW_BY_BUCKET, b"http.unknown").is_none());
        assert!(find(&ROW_BY_BUCKET, b"").is_none());
    }
}
