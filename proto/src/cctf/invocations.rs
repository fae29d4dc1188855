//! `invocations.jsonl`: one unit of work that ran on a node.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::ids::{SpanId, TraceId};
use super::milliseconds::Milliseconds;
use super::row::row;
use super::value::{Kind, Text, Value, one_of};

one_of! {
    /// Where a node stands between the user's device and the data centre.
    Stage {
        /// The user's device.
        Endpoint = "endpoint",
        /// Near the user.
        Edge = "edge",
        /// The data centre.
        Cloud = "cloud",
        /// Nobody told.
        Unknown = "unknown",
    }
}

one_of! {
    /// OpenTelemetry's kind of the span that a row comes from.
    SpanKind {
        /// Answers a request.
        Server = "server",
        /// Handles a message.
        Consumer = "consumer",
        /// Neither sends nor receives.
        Internal = "internal",
        /// Sends a request and waits for its answer.
        Client = "client",
        /// Sends a message.
        Producer = "producer",
    }
}

one_of! {
    /// What a reader must know of a row before trusting it.
    Flag {
        /// The caller did not arrive within the join window.
        Orphan = "orphan",
        /// A duration would be negative: the source's own stamps contradict each other.
        Negative = "negative",
        /// The row lasted longer than the call that caused it, by durations.
        ChildOutlivesCaller = "child_outlives_caller",
        /// The SDK dropped attributes or links, or there were more links than the 1,024 that are kept.
        Truncated = "truncated",
        /// Came after the run's end.
        Late = "late",
    }
}

/// A set of [`Flag`]s, written as an array in the order of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u8);

impl Flags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// The set with `flag` in it.
    #[must_use]
    pub const fn with(self, flag: Flag) -> Self {
        Self(self.0 | 1 << flag as u8)
    }

    /// Whether `flag` is in the set.
    pub const fn has(self, flag: Flag) -> bool {
        self.0 & 1 << flag as u8 != 0
    }

    /// The set as a number, for what is kept between two passes.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The set of a number that [`Self::bits`] has given; bits that stand for no flag are let go.
    pub const fn from_bits(bits: u8) -> Self {
        Self(bits & ((1 << Flag::ALL.len()) - 1))
    }

    /// `None` for the empty set, which is absent in the files.
    pub fn non_empty(self) -> Option<Self> {
        (self.0 != 0).then_some(self)
    }
}

impl Value for Flags {
    const KIND: Kind = Kind::List(&Flag::KIND);
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(b'[');
        let mut first = true;
        for &flag in Flag::ALL.iter().filter(|&&flag| self.has(flag)) {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            flag.encode(out);
        }
        out.push(b']');
    }
}

impl serde::Serialize for Flags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let flags: Vec<Flag> = Flag::ALL.iter().copied().filter(|&flag| self.has(flag)).collect();
        serializer.collect_seq(flags)
    }
}

impl<'de> Deserialize<'de> for Flags {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct FlagsVisitor;
        impl<'de> Visitor<'de> for FlagsVisitor {
            type Value = Flags;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an array of flags")
            }
            fn visit_seq<S: SeqAccess<'de>>(self, mut flags: S) -> Result<Flags, S::Error> {
                let mut set = Flags::NONE;
                while let Some(flag) = flags.next_element()? {
                    set = set.with(flag);
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(FlagsVisitor)
    }
}

row! {
    /// A span that this one was caused by besides its parent (a batch consumer's messages).
    pub struct SpanLink {
        /// Trace of the linked span.
        required trace_id: TraceId,
        /// The linked span.
        required span_id: SpanId,
    }
}

row! {
    /// One unit of work that ran on a node: a SERVER or CONSUMER span, or a root span of kind INTERNAL.
    pub struct Invocation<'a> {
        /// The trace.
        required trace_id: TraceId,
        /// The span.
        required span_id: SpanId,
        /// The invocation that caused this one: the nearest ancestor that is itself an invocation. Null for a root and for an orphan.
        nullable parent_id: SpanId,
        /// The parent span's id as the telemetry gave it.
        nullable parent_span_id: SpanId,
        /// The application module (service.name).
        required module_id: Text<'a>,
        /// One running copy of the module.
        required instance_id: Text<'a>,
        /// When the request had arrived, ms since the Unix epoch.
        required ts_enqueue: Milliseconds,
        /// When a worker took it up, ms since the Unix epoch.
        required ts_start: Milliseconds,
        /// When it was done, ms since the Unix epoch.
        required ts_end: Milliseconds,
        /// The node it ran on.
        required node: Text<'a>,
        /// The node's stage.
        required stage: Stage,
        /// HTTP method, or the operation.
        nullable method: Text<'a>,
        /// HTTP path, or the operation's target.
        nullable path: Text<'a>,
        /// Body bytes received.
        nullable bytes_in: u64,
        /// Body bytes sent.
        nullable bytes_out: u64,
        /// CPU time of this request alone, ms.
        nullable cpu_time_ms: Milliseconds,
        /// ts_start - ts_enqueue, ms. Null when the source does not tell when a worker took it up.
        nullable queue_time_ms: Milliseconds,
        /// ts_end - ts_start, ms. Null when negative.
        nullable service_time_ms: Milliseconds,
        /// ts_end - ts_enqueue, ms. Null when negative.
        nullable rt_ms: Milliseconds,
        /// HTTP status, or gRPC code 0 to 16. Null where the source does not tell what became of a gRPC call.
        nullable status: i64,
        /// Process id.
        optional pid: u64,
        /// The application (service.namespace).
        optional app_id: Text<'a>,
        /// http, rpc, messaging or faas.
        optional protocol: Text<'a>,
        /// The route that the path matched.
        optional route: Text<'a>,
        /// The URL's query, without the question mark. Only of sources that ask for it, or with --keep-query.
        optional query: Text<'a>,
        /// The user's session (session.id).
        optional session_id: Text<'a>,
        /// The span's name, where method and path do not say it.
        optional name: Text<'a>,
        /// A status that is no number.
        optional status_text: Text<'a>,
        /// The class of error: `error.type`, else the type of the last exception, else `_OTHER` for a span that failed.
        optional error_type: Text<'a>,
        /// Whether a serverless instance was started for it.
        optional cold_start: bool,
        /// Part of the service time spent waiting for calls to others, ms. Null when the source does not tell; calls.jsonl has the calls.
        nullable downstream_ms: Milliseconds,
        /// Time the request was ready to run and had no CPU, ms.
        optional cpu_wait_ms: Milliseconds,
        /// Part of the queue time in which a slot was free and its thread waited for a CPU, ms: ts_start minus the later of ts_enqueue and the moment at which a slot became free.
        optional wakeup_ms: Milliseconds,
        /// Part of the service time spent waiting for a slot again, after slot_policy released had given the first one to others, ms.
        optional slot_wait_ms: Milliseconds,
        /// Kind of the span.
        required kind: SpanKind,
        /// The CLIENT or PRODUCER span that called.
        optional caller_span_id: SpanId,
        /// The caller's duration minus this span's, ms: the network both ways, connect and TLS included.
        optional net_ms: Milliseconds,
        /// Further spans that caused this one, at most 1,024.
        optional links: Vec<SpanLink>,
        /// How many requests this row stands for.
        optional sample_weight: f64,
        /// What to know before trusting the row.
        optional flags: Flags,
    }
}
