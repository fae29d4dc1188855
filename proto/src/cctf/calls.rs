//! `calls.jsonl`: requests and messages sent by invocations or by the load driver.

use super::ids::{SpanId, TraceId};
use super::invocations::{Flags, SpanKind, Stage};
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// One CLIENT or PRODUCER span.
    pub struct Call<'a> {
        /// Trace id.
        required trace_id: TraceId => id,
        /// Span id of the call.
        required span_id: SpanId => id,
        /// Parent span id as reported. Null for a root.
        nullable parent_span_id: SpanId => id,
        /// Span id of the invocation that made the call. Null for calls of the load driver and for orphans.
        nullable ancestor_id: SpanId => id,
        /// The calling module.
        required module_id: Text<'a> => name,
        /// The calling instance.
        required instance_id: Text<'a> => name,
        /// Node of the calling instance.
        required node: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// Start of the call, ms since the Unix epoch.
        required ts_start: Milliseconds => time,
        /// End of the call, ms since the Unix epoch.
        required ts_end: Milliseconds => time,
        /// HTTP method, or the operation.
        nullable method: Text<'a> => known(METHOD),
        /// HTTP path, or the target of the operation.
        nullable path: Text<'a> => path,
        /// Bytes of the body sent.
        nullable bytes_out: u64 => keep,
        /// Bytes of the body received.
        nullable bytes_in: u64 => keep,
        /// HTTP status, or gRPC status code (0 to 16). Null if the source does not report the result of a gRPC call.
        nullable status: i64 => keep,
        /// Span kind: client or producer.
        optional kind: SpanKind => keep,
        /// One of http, rpc, messaging, db, faas.
        optional protocol: Text<'a> => known(PROTOCOL),
        /// Span name, if it contains more than method and path.
        optional name: Text<'a> => text,
        /// Receiver of the call: host:port, database system or messaging destination.
        optional peer: Text<'a> => name,
        /// Module that answered, if it was known when the row was written.
        optional peer_module: Text<'a> => name,
        /// Number of earlier attempts to send this request.
        optional resend_count: u64 => keep,
        /// Session of the user (session.id).
        optional session_id: Text<'a> => text,
        /// Trace id of the recorded request that this call replays.
        optional replay_of_trace_id: TraceId => id,
        /// Span id of the recorded request that this call replays: of its call, else of its invocation.
        optional replay_of_span_id: SpanId => id,
        /// Time from the scheduled time of the request to its send, ms. Only the load driver reports it.
        optional lateness_ms: Milliseconds => keep,
        /// Class of the error: `error.type`, else the type of the last exception, else `_OTHER` if the span failed.
        optional error_type: Text<'a> => known(ERROR),
        /// Warnings about the row.
        optional flags: Flags => keep,
    }
}
