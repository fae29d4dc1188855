//! [`LineRecord`]: everything that is needed to write the line of a row, in few bytes, because rows are sorted by time before
//! they become lines.

use cctf_merge::made::{DerivedFields, SpanFile};
use cctf_normalizer::mapping::EncodedFields;
use cctf_proto::cctf::{
    Call, Invocation, Milliseconds, Row as _, SpanId, SpanKind, Stage, TEXT_BYTES_MAX, Text, TraceId,
    bounded, field_index,
};

use super::names::{NONE, NameId, Names};
use super::operation::Operation;
use super::rows::Kind;

const MODULE_ID: usize = field_index(Invocation::FIELDS, "module_id");
const TS_ENQUEUE: usize = field_index(Invocation::FIELDS, "ts_enqueue");
const NODE: usize = field_index(Invocation::FIELDS, "node");
const METHOD: usize = field_index(Invocation::FIELDS, "method");
const INVOCATION_END: usize = Invocation::FIELDS.len();
const CALL_MODULE_ID: usize = field_index(Call::FIELDS, "module_id");
const CALL_TS_START: usize = field_index(Call::FIELDS, "ts_start");
const CALL_END: usize = Call::FIELDS.len();
/// The fields of a sender must be next to each other, because they are written as pieces that were encoded earlier.
const _: () =
    assert!(MODULE_ID + 2 == TS_ENQUEUE && NODE + 2 == METHOD && CALL_MODULE_ID + 4 == CALL_TS_START);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LineRecord<'r> {
    pub trace_id: u128,
    pub span_id: u64,
    pub parent: Option<u64>,
    /// Nanoseconds since the Unix epoch.
    pub begin_ns: i64,
    pub end_ns: i64,
    pub sender: u32,
    pub interface: NameId,
    /// The callee of a call.
    pub peer: NameId,
    pub rpc_type: NameId,
    pub service: NameId,
    /// The kind of the call to which the row belongs.
    pub of: Kind,
    pub kind: SpanKind,
    pub rpc_id: &'r [u8],
}

/// Bytes of a record before its rpc id.
const FIXED_BYTES: usize = 16 + 4 * 8 + 5 * 4 + 2;

impl<'r> LineRecord<'r> {
    /// Overwrites `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.clear();
        out.extend_from_slice(&self.trace_id.to_le_bytes());
        // No span has the id 0.
        for number in [self.span_id, self.parent.unwrap_or(0)] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.begin_ns, self.end_ns] {
            out.extend_from_slice(&time.to_le_bytes());
        }
        for number in [
            self.sender,
            self.interface,
            self.peer,
            self.rpc_type,
            self.service,
        ] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&[self.of as u8, self.kind as u8]);
        out.extend_from_slice(self.rpc_id);
    }

    /// `None` if the bytes are not from [`Self::encode`].
    pub fn decode(bytes: &'r [u8]) -> Option<Self> {
        let (fixed, rpc_id) = bytes.split_first_chunk::<FIXED_BYTES>()?;
        let (trace_id, rest) = fixed.split_first_chunk::<16>()?;
        let eight = |index: usize| -> u64 {
            let mut eight = [0; 8];
            eight.copy_from_slice(&rest[8 * index..8 * index + 8]);
            u64::from_le_bytes(eight)
        };
        let four = |index: usize| -> u32 {
            let mut four = [0; 4];
            four.copy_from_slice(&rest[32 + 4 * index..36 + 4 * index]);
            u32::from_le_bytes(four)
        };
        Some(Self {
            trace_id: u128::from_le_bytes(*trace_id),
            span_id: eight(0),
            parent: Some(eight(1)).filter(|&parent| parent != 0),
            begin_ns: eight(2).cast_signed(),
            end_ns: eight(3).cast_signed(),
            sender: four(0),
            interface: four(1),
            peer: four(2),
            rpc_type: four(3),
            service: four(4),
            of: Kind::of_number(rest[52])?,
            kind: *SpanKind::ALL.get(usize::from(rest[53]))?,
            rpc_id,
        })
    }

    pub fn operation<'n>(&self, names: &'n Names) -> Operation<'n> {
        Operation::new(self.of, names.text(self.interface))
    }

    /// The receiver of a call, or else the system that is called.
    pub fn peer<'n>(&self, names: &'n Names, operation: &Operation<'n>) -> Option<&'n str> {
        match self.peer {
            NONE => operation.system,
            peer => Some(names.text(peer)),
        }
    }

    /// Whether a text of the row was cut or is not UTF-8.
    pub fn is_truncated(&self, names: &Names) -> bool {
        let in_name = [self.rpc_type, self.service];
        let length: usize = in_name.iter().map(|&name| names.text(name).len() + 1).sum();
        length + self.rpc_id.len() > TEXT_BYTES_MAX
            || [self.interface, self.peer, self.rpc_type, self.service]
                .iter()
                .any(|&name| names.is_damaged(name))
    }

    /// Overwrites `name` with the name of the span: type of the call, rpc id and service. Returns the name, unless it states no
    /// more than the operation.
    fn name<'b>(&self, names: &Names, operation: &Operation<'_>, name: &'b mut String) -> Option<&'b str> {
        name.clear();
        let rpc_id = std::str::from_utf8(self.rpc_id).unwrap_or_default();
        for part in [names.text(self.rpc_type), rpc_id, names.text(self.service)] {
            if !part.is_empty() {
                if !name.is_empty() {
                    name.push(' ');
                }
                name.push_str(part);
            }
        }
        let is_whole = operation.method.is_some() && operation.path.is_some();
        let is_said = is_whole || [operation.method, operation.route].contains(&Some(name.as_str()));
        if is_said { None } else { Some(bounded(name)) }
    }

    /// Appends the line. `buffer` is overwritten.
    pub fn write(
        &self,
        file: SpanFile,
        (names, sender): (&Names, &EncodedFields),
        derived: &DerivedFields<'_>,
        buffer: &mut String,
        out: &mut Vec<u8>,
    ) {
        let operation = self.operation(names);
        let name = self.name(names, &operation, buffer).map(Text::from);
        match file {
            SpanFile::Calls => {
                let call = self.call(&operation, self.peer(names, &operation), name, derived);
                call.encode_part::<0, CALL_MODULE_ID>(out);
                out.extend_from_slice(&sender.module);
                out.extend_from_slice(&sender.node);
                call.encode_part::<CALL_TS_START, CALL_END>(out);
            }
            SpanFile::Invocations => {
                let invocation = self.invocation(&operation, name, derived);
                invocation.encode_part::<0, MODULE_ID>(out);
                out.extend_from_slice(&sender.module);
                invocation.encode_part::<TS_ENQUEUE, NODE>(out);
                out.extend_from_slice(&sender.node);
                invocation.encode_part::<METHOD, INVOCATION_END>(out);
            }
        }
    }

    fn ids(&self) -> (TraceId, SpanId, Option<SpanId>) {
        let span_id = |id: u64| SpanId(id.to_be_bytes());
        (
            TraceId(self.trace_id.to_be_bytes()),
            span_id(self.span_id),
            self.parent.map(span_id),
        )
    }

    /// The invocation, without the fields of its sender.
    fn invocation<'a>(
        &self,
        operation: &Operation<'a>,
        name: Option<Text<'a>>,
        derived: &DerivedFields<'_>,
    ) -> Invocation<'a> {
        let (trace_id, span_id, parent_span_id) = self.ids();
        let begin = Milliseconds::from_ns(self.begin_ns);
        let duration = Some(self.end_ns - self.begin_ns).filter(|&ns| ns >= 0);
        let duration = duration.map(Milliseconds::from_ns);
        Invocation {
            trace_id,
            span_id,
            parent_id: derived.ancestor,
            parent_span_id,
            module_id: Text::default(),
            instance_id: Text::default(),
            ts_enqueue: begin,
            ts_start: begin,
            ts_end: Milliseconds::from_ns(self.end_ns),
            node: Text::default(),
            stage: Stage::Unknown,
            method: operation.method.map(Text::from),
            path: operation.path.map(Text::from),
            bytes_in: None,
            bytes_out: None,
            cpu_time_ms: None,
            queue_time_ms: None,
            service_time_ms: duration,
            rt_ms: duration,
            status: None,
            pid: None,
            app_id: None,
            protocol: operation.protocol.map(Text::from),
            route: operation.route.map(Text::from),
            query: None,
            session_id: None,
            name,
            status_text: None,
            error_type: None,
            cold_start: None,
            downstream_ms: None,
            cpu_wait_ms: None,
            wakeup_ms: None,
            slot_wait_ms: None,
            kind: self.kind,
            caller_span_id: derived.caller,
            net_ms: derived.net_ns.map(Milliseconds::from_ns),
            links: None,
            sample_weight: None,
            flags: derived.flags.non_empty(),
        }
    }

    /// The call, without the fields of its sender.
    fn call<'a>(
        &self,
        operation: &Operation<'a>,
        peer: Option<&'a str>,
        name: Option<Text<'a>>,
        derived: &DerivedFields<'a>,
    ) -> Call<'a> {
        let (trace_id, span_id, parent_span_id) = self.ids();
        Call {
            trace_id,
            span_id,
            parent_span_id,
            ancestor_id: derived.ancestor,
            module_id: Text::default(),
            instance_id: Text::default(),
            node: Text::default(),
            stage: Stage::Unknown,
            ts_start: Milliseconds::from_ns(self.begin_ns),
            ts_end: Milliseconds::from_ns(self.end_ns),
            method: operation.method.map(Text::from),
            path: operation.path.map(Text::from),
            bytes_out: None,
            bytes_in: None,
            status: None,
            kind: Some(self.kind),
            protocol: operation.protocol.map(Text::from),
            name,
            peer: peer.map(Text::from),
            peer_module: derived.peer_module.map(Text::from),
            resend_count: None,
            session_id: None,
            replay_of_trace_id: None,
            replay_of_span_id: None,
            lateness_ms: None,
            error_type: None,
            flags: derived.flags.non_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_comes_back_from_its_bytes() {
        let record = LineRecord {
            trace_id: u128::MAX - 1,
            span_id: 2,
            parent: None,
            begin_ns: 3,
            end_ns: i64::MAX,
            sender: 4,
            interface: 5,
            peer: NONE,
            rpc_type: 6,
            service: u32::MAX,
            of: Kind::Message,
            kind: SpanKind::Consumer,
            rpc_id: b"0.1.3",
        };
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
        assert_eq!(LineRecord::decode(&bytes), Some(record));
        assert_eq!(LineRecord::decode(&bytes[..FIXED_BYTES - 1]), None);
    }
}
