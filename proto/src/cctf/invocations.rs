//! `invocations.jsonl`: requests, messages and jobs that instances processed.

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

use super::decode::{Decode, Encoded};
use super::ids::{SpanId, TraceId};
use super::milliseconds::Milliseconds;
use super::row::row;
use super::treatment::Treat;
use super::value::{Kind, Text, Value, one_of};

one_of! {
    /// Position of a node between the user's device and the data centre.
    Stage {
        /// The user's device.
        Endpoint = "endpoint",
        /// A node near the user.
        Edge = "edge",
        /// The data centre.
        Cloud = "cloud",
        /// Not reported.
        Unknown = "unknown",
    }
}

one_of! {
    /// Span kind of the span behind a row.
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
    /// A warning about a row.
    Flag {
        /// The row is not a root, but its caller is missing.
        Orphan = "orphan",
        /// The timestamps of the source contradict each other: a duration would be negative.
        Negative = "negative",
        /// The invocation lasted longer than the call that caused it.
        ChildOutlivesCaller = "child_outlives_caller",
        /// Data of the span was lost: dropped attributes or links, a text that was cut or is not UTF-8, or more than 1,024 links.
        Truncated = "truncated",
        /// Arrived after the end of the run.
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

    /// The set as a number, for storage.
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// The inverse of [`Self::bits`]. Bits that no flag has are ignored.
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

impl Treat for Flags {}

impl Decode<'_> for Flags {
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        let flags = Vec::<Flag>::decode(from)?;
        let is_ordered = flags.is_sorted_by(|flag, next| flag < next);
        is_ordered.then(|| flags.into_iter().fold(Self::NONE, Self::with))
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

/// The lowest status that is an error: statuses of HTTP from here on are failures of the server.
pub const ERROR_STATUS: i64 = 500;

/// Whether an invocation or a call has failed.
#[inline]
pub fn is_error(status: Option<i64>, error_type: Option<&str>) -> bool {
    error_type.is_some() || status.is_some_and(|status| status >= ERROR_STATUS)
}

row! {
    /// A further cause of a span besides its parent, such as each message of a batch.
    pub struct SpanLink {
        /// Trace id of the linked span.
        required trace_id: TraceId => id,
        /// Span id of the linked span.
        required span_id: SpanId => id,
    }
}

row! {
    /// A request, message or job that an instance processed.
    pub struct Invocation<'a> {
        /// Trace id.
        required trace_id: TraceId => id,
        /// Span id of the invocation.
        required span_id: SpanId => id,
        /// Span id of the nearest ancestor that is an invocation. Null for roots and orphans.
        nullable parent_id: SpanId => id,
        /// Parent span id as reported. Null for a root.
        nullable parent_span_id: SpanId => id,
        /// Module of the application (service.name).
        required module_id: Text<'a> => name,
        /// Instance of the module.
        required instance_id: Text<'a> => name,
        /// Arrival of the request, ms since the Unix epoch.
        required ts_enqueue: Milliseconds => time,
        /// Time at which a worker started processing it, ms since the Unix epoch.
        required ts_start: Milliseconds => time,
        /// End of processing, ms since the Unix epoch.
        required ts_end: Milliseconds => time,
        /// Node of the instance.
        required node: Text<'a> => name,
        /// Stage of the node.
        required stage: Stage => keep,
        /// HTTP method, or the operation.
        nullable method: Text<'a> => known(METHOD),
        /// HTTP path, or the target of the operation.
        nullable path: Text<'a> => path,
        /// Bytes of the body received.
        nullable bytes_in: u64 => keep,
        /// Bytes of the body sent.
        nullable bytes_out: u64 => keep,
        /// CPU time of this request alone, ms.
        nullable cpu_time_ms: Milliseconds => keep,
        /// ts_start - ts_enqueue, ms. Null if the source does not report when a worker started processing.
        nullable queue_time_ms: Milliseconds => keep,
        /// ts_end - ts_start, ms. Null if negative.
        nullable service_time_ms: Milliseconds => keep,
        /// ts_end - ts_enqueue, ms. Null if negative.
        nullable rt_ms: Milliseconds => keep,
        /// HTTP status, or gRPC status code (0 to 16). Null if the source does not report the result of a gRPC call.
        nullable status: i64 => keep,
        /// Process id.
        optional pid: u64 => drop,
        /// Application (service.namespace).
        optional app_id: Text<'a> => name,
        /// One of http, rpc, messaging, faas.
        optional protocol: Text<'a> => known(PROTOCOL),
        /// Route that the path matched.
        optional route: Text<'a> => path,
        /// Query of the URL, without the question mark. Present only for sources that request it, or with --keep-query.
        optional query: Text<'a> => query,
        /// Session of the user (session.id).
        optional session_id: Text<'a> => text,
        /// Span name, if it contains more than method and path.
        optional name: Text<'a> => text,
        /// Status that is not a number.
        optional status_text: Text<'a> => known(STATUS),
        /// Class of the error: `error.type`, else the type of the last exception, else `_OTHER` if the span failed.
        optional error_type: Text<'a> => known(ERROR),
        /// Whether a serverless instance was started for this request.
        optional cold_start: bool => keep,
        /// Part of the service time spent waiting for downstream calls, ms. Null if the source does not report it; calls.jsonl has the calls.
        nullable downstream_ms: Milliseconds => keep,
        /// Time in which the request was ready to run but had no CPU, ms.
        optional cpu_wait_ms: Milliseconds => keep,
        /// Part of the queue time in which a slot was free but its thread waited for a CPU, ms: ts_start minus the later of ts_enqueue and the time at which the slot became free.
        optional wakeup_ms: Milliseconds => keep,
        /// Part of the service time spent in the queue for a new slot after slot_policy released gave up the first one, ms.
        optional slot_wait_ms: Milliseconds => keep,
        /// Span kind.
        required kind: SpanKind => keep,
        /// Span id of the call in calls.jsonl that caused this invocation.
        optional caller_span_id: SpanId => id,
        /// Duration of the call minus rt_ms, ms: network time in both directions, including connection and TLS set-up.
        optional net_ms: Milliseconds => keep,
        /// Further spans that caused this one, at most 1,024.
        optional links: Vec<SpanLink> => inner,
        /// Number of requests that this row represents.
        optional sample_weight: f64 => keep,
        /// Warnings about the row.
        optional flags: Flags => keep,
    }
}
