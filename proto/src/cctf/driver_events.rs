//! `events_client.jsonl`: the load driver's own record, beside the files of the contract.

use serde::de::{Deserialize, Deserializer};

use super::decode::{Decode, Encoded};
use super::ids::{SpanId, TraceId};
use super::row::row;
use super::treatment::Treat;
use super::value::{JsonObject, Kind, Text, Value};

row! {
    /// One request of the load driver, in vegeta's JSON encoding with further fields.
    pub struct DriverEvent<'a> {
        /// Name of the load: the endpoint.
        required attack: Text<'a> => text,
        /// Number of the request, from 0.
        required seq: u64 => keep,
        /// HTTP status; 0 without a response.
        required code: u64 => keep,
        /// Time at which the request was sent, in the form of RFC 3339.
        required timestamp: Text<'a> => time,
        /// Time from send to response, ns.
        required latency: u64 => keep,
        /// Bytes of the body sent.
        required bytes_out: u64 => keep,
        /// Bytes of the body received.
        required bytes_in: u64 => keep,
        /// Reason why there was no response. Empty if there was one.
        required error: Text<'a> => text,
        /// Body of the response. Our driver records none.
        nullable body: Text<'a> => drop,
        /// HTTP method.
        required method: Text<'a> => known(METHOD),
        /// URL.
        required url: Text<'a> => url,
        /// Headers of the response. Our driver records none.
        nullable headers: JsonObject<'a> => drop,
        /// Trace id of the request.
        optional trace_id: TraceId => id,
        /// Span id of the request.
        optional span_id: SpanId => id,
        /// Time from the scheduled time of the request to its send, ns.
        optional lateness_ns: i64 => keep,
        /// Trace id of the recorded request that this one replays.
        optional replay_of_trace_id: TraceId => id,
        /// Span id of the recorded request that this one replays.
        optional replay_of_span_id: SpanId => id,
        /// Status of the recorded request. Null if it had none, absent without a replay.
        optional replay_of_code: OriginalCode => keep,
    }
}

/// The status of a recorded request; `None` without one, which is written as null.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OriginalCode(pub Option<i64>);

impl Value for OriginalCode {
    const KIND: Kind = Kind::Integer;
    fn encode(&self, out: &mut Vec<u8>) {
        match self.0 {
            Some(code) => code.encode(out),
            None => out.extend_from_slice(b"null"),
        }
    }
}

impl Treat for OriginalCode {}

impl Decode<'_> for OriginalCode {
    fn decode(from: &mut Encoded<'_>) -> Option<Self> {
        if from.skip("null") {
            return Some(Self(None));
        }
        i64::decode(from).map(|code| Self(Some(code)))
    }
}

impl<'de> Deserialize<'de> for OriginalCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Option::deserialize(deserializer).map(Self)
    }
}
