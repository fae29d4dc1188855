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
        required trace_id: TraceId,
        /// Span id of the call.
        required span_id: SpanId,
        /// Parent span id as reported. Null for a root.
        nullable parent_span_id: SpanId,
        /// Span id of the invocation that made the call. Null for calls of the load driver and for orphans.
        nullable ancestor_id: SpanId,
        /// The calling module.
        required module_id: Text<'a>,
        /// The calling instance.
        required instance_id: Text<'a>,
        /// Node of the calling instance.
        required node: Text<'a>,
        /// Stage of the node.
        required stage: Stage,
        /// Start of the call, ms since the Unix epoch.
        required ts_start: Milliseconds,
        /// End of the call, ms since the Unix epoch.
        required ts_end: Milliseconds,
        /// HTTP method, or the operation.
        nullable method: Text<'a>,
        /// HTTP path, or the target of the operation.
        nullable path: Text<'a>,
        /// Bytes of the body sent.
        nullable bytes_out: u64,
        /// Bytes of the body received.
        nullable bytes_in: u64,
        /// HTTP status, or gRPC status code (0 to 16). Null if the source does not report the result of a gRPC call.
        nullable status: i64,
        /// Span kind: client or producer.
        optional kind: SpanKind,
        /// One of http, rpc, messaging, db, faas.
        optional protocol: Text<'a>,
        /// Span name, if it contains more than method and path.
        optional name: Text<'a>,
        /// Receiver of the call: host:port, database system or messaging destination.
        optional peer: Text<'a>,
        /// Module that answered, if it was known when the row was written.
        optional peer_module: Text<'a>,
        /// Number of earlier attempts to send this request.
        optional resend_count: u64,
        /// Session of the user (session.id).
        optional session_id: Text<'a>,
        /// Trace id of the recorded request that this call replays.
        optional replay_of_trace_id: TraceId,
        /// Span id of the recorded request that this call replays: of its call, else of its invocation.
        optional replay_of_span_id: SpanId,
        /// Time from the scheduled time of the request to its send, ms. Only the load driver reports it.
        optional lateness_ms: Milliseconds,
        /// Class of the error: `error.type`, else the type of the last exception, else `_OTHER` if the span failed.
        optional error_type: Text<'a>,
        /// Warnings about the row.
        optional flags: Flags,
    }
}
