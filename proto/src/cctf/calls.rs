//! `calls.jsonl`: one call or message that an invocation, or the load driver, sent.

use super::ids::{SpanId, TraceId};
use super::invocations::{Flags, SpanKind, Stage};
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::Text;

row! {
    /// One CLIENT or PRODUCER span.
    pub struct Call<'a> {
        /// The trace.
        required trace_id: TraceId,
        /// The span.
        required span_id: SpanId,
        /// The parent span's id as the telemetry gave it.
        nullable parent_span_id: SpanId,
        /// The invocation that made the call. Null for a driver's call and for an orphan.
        nullable ancestor_id: SpanId,
        /// The calling module.
        required module_id: Text<'a>,
        /// The calling instance.
        required instance_id: Text<'a>,
        /// The caller's node.
        required node: Text<'a>,
        /// The node's stage.
        required stage: Stage,
        /// Start of the call, ms since the Unix epoch.
        required ts_start: Milliseconds,
        /// End of the call, ms since the Unix epoch.
        required ts_end: Milliseconds,
        /// HTTP method, or the operation.
        nullable method: Text<'a>,
        /// HTTP path, or the operation's target.
        nullable path: Text<'a>,
        /// Body bytes sent.
        nullable bytes_out: u64,
        /// Body bytes received.
        nullable bytes_in: u64,
        /// HTTP status, or gRPC code 0 to 16. Null where the source does not tell what became of a gRPC call.
        nullable status: i64,
        /// Kind of the span: client or producer.
        optional kind: SpanKind,
        /// http, rpc, messaging, db or faas.
        optional protocol: Text<'a>,
        /// The span's name, where method and path do not say it.
        optional name: Text<'a>,
        /// Whom it was sent to: host:port, database system or messaging destination.
        optional peer: Text<'a>,
        /// The module that answered, where it was known when the row was written.
        optional peer_module: Text<'a>,
        /// How often the request had been sent before.
        optional resend_count: u64,
        /// The user's session (session.id).
        optional session_id: Text<'a>,
        /// The class of error: `error.type`, else the type of the last exception, else `_OTHER` for a span that failed.
        optional error_type: Text<'a>,
        /// What to know before trusting the row.
        optional flags: Flags,
    }
}
