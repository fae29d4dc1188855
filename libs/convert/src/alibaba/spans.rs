//! Makes the rows of a [`Tree`]. A row that the caller recorded becomes a call, and a row that the callee recorded becomes an
//! invocation below this call. A rebuilt invocation gets the kind `internal`.

use aggregate::maps::Map;
use cctf_merge::made::{MadeRow, MadeTrace};
use cctf_proto::cctf::{SpanId, SpanKind, TraceId};

use super::calls::{Call, Interval};
use super::ids::Ids;
use super::lines::LineRecord;
use super::names::{NONE, NameId, Names};
use super::notes::{Note, Notes};
use super::rows::{At, Kind};
use super::senders::{Senders, Source};
use super::tree::{Caller, Tree};
use crate::hash::{START, extended, mixed};

/// The side of a call that a span id stands for.
#[derive(Debug, Clone, Copy)]
#[repr(u8)]
enum Side {
    Caller = 0,
    Callee = 1,
    /// The unknown caller of an orphan. No span has this id.
    Unknown = 2,
}

/// Makes the rows of traces.
pub struct Writer<'w> {
    pub names: &'w Names,
    /// Node of each instance.
    pub nodes: &'w Map<NameId, NameId>,
    pub senders: &'w mut Senders,
    pub made: &'w mut MadeTrace,
    pub notes: &'w mut Notes,
    /// Buffer for the record of a row.
    pub record: &'w mut Vec<u8>,
}

/// A trace that is written.
struct Trace<'t> {
    id: u128,
    /// Start of the recording, nanoseconds since the Unix epoch.
    origin_ns: i64,
    /// Where the first row of the trace is in the files.
    at: At,
    ids: &'t Ids<'t>,
    /// For each rpc id, the hash of the trace id and the rpc id.
    hashes: Vec<u64>,
    tree: &'t Tree,
}

impl Trace<'_> {
    /// The span id of one side of a call. `ordinal` is the number of the call among those with the same rpc id.
    fn span_id(&self, id: usize, ordinal: u32, side: Side) -> u64 {
        let hash = extended(self.hashes[id], &ordinal.to_be_bytes());
        mixed(extended(hash, &[side as u8])).max(1)
    }

    /// The span id of an invocation.
    fn invocation(&self, index: usize) -> u64 {
        match self.tree.calls.get(index) {
            Some(call) => self.span_id(call.id, call.ordinal, Side::Callee),
            None => {
                let rebuilt = &self.tree.rebuilt[index - self.tree.calls.len()];
                self.span_id(rebuilt.id, 0, Side::Callee)
            }
        }
    }

    /// The parent of the first span of a call, or of a rebuilt invocation.
    fn parent(&self, caller: Caller, id: usize, ordinal: u32) -> Option<u64> {
        match caller {
            Caller::Outside => None,
            Caller::Invocation(index) => Some(self.invocation(index)),
            Caller::Unknown => Some(self.span_id(id, ordinal, Side::Unknown)),
        }
    }
}

/// The span that becomes a row.
#[derive(Clone, Copy)]
struct Span<'t> {
    id: u64,
    parent: Option<u64>,
    kind: SpanKind,
    interval: Interval,
    source: Source,
    /// The call to which the span belongs. It states what was called. `None` for a rebuilt invocation.
    call: Option<&'t Call>,
    rpc_id: &'t [u8],
}

impl Writer<'_> {
    pub fn write(&mut self, trace_id: u128, origin_ns: i64, at: At, ids: &Ids<'_>, tree: &Tree) {
        self.made.begin(TraceId(trace_id.to_be_bytes()));
        let trace = Trace {
            id: trace_id,
            origin_ns,
            at,
            ids,
            hashes: ids.hashes(extended(START, &trace_id.to_be_bytes())),
            tree,
        };
        for index in 0..tree.calls.len() {
            self.write_call(&trace, index);
        }
        for (index, rebuilt) in tree.rebuilt.iter().enumerate() {
            self.notes.add(Note::InvocationInferred, 1, at);
            let span = Span {
                id: trace.invocation(tree.calls.len() + index),
                parent: trace.parent(rebuilt.caller, rebuilt.id, 0),
                kind: SpanKind::Internal,
                interval: rebuilt.interval,
                source: (rebuilt.module, rebuilt.instance),
                call: None,
                rpc_id: ids.text(rebuilt.id),
            };
            self.write_span(&trace, &span);
        }
        self.notes.add(Note::CallerInferred, tree.inferred.callers, at);
        self.notes.add(Note::EntryInferred, tree.inferred.entries, at);
        self.notes
            .add(Note::CallerUnknown, tree.inferred.unknown_callers, at);
        self.notes.add(Note::ModuleInferred, tree.inferred.modules, at);
    }

    fn write_call(&mut self, trace: &Trace<'_>, index: usize) {
        let call = &trace.tree.calls[index];
        self.notes
            .add(Note::SideInferred, u64::from(call.is_side_inferred), call.at);
        let mut parent = trace.parent(trace.tree.callers[index], call.id, call.ordinal);
        let rpc_id = trace.ids.text(call.id);
        if let Some(interval) = call.caller {
            let span = Span {
                id: trace.span_id(call.id, call.ordinal, Side::Caller),
                parent,
                kind: SpanKind::Client,
                interval,
                source: (call.labels.um, call.labels.um_instance),
                call: Some(call),
                rpc_id,
            };
            self.write_span(trace, &span);
            parent = Some(span.id);
        }
        let (kind, interval) = match call.callee {
            Some(interval) if call.kind == Kind::Message => (SpanKind::Consumer, interval),
            Some(interval) => (SpanKind::Server, interval),
            None if trace.tree.has_calls[index] => {
                self.notes.add(Note::InvocationInferred, 1, call.at);
                (SpanKind::Internal, call.interval())
            }
            None => return,
        };
        let span = Span {
            id: trace.invocation(index),
            parent,
            kind,
            interval,
            source: (call.labels.dm, call.labels.dm_instance),
            call: Some(call),
            rpc_id,
        };
        self.write_span(trace, &span);
    }

    fn write_span(&mut self, trace: &Trace<'_>, span: &Span<'_>) {
        let names = self.names;
        let (module, instance) = span.source;
        self.notes.add(Note::TimeOrigin, 1, trace.at);
        self.notes
            .add(Note::ModuleUnknown, u64::from(module == NONE), trace.at);
        let is_call = span.kind == SpanKind::Client;
        let labels = span.call.map(|call| call.labels);
        let name = |name: Option<NameId>| name.unwrap_or(NONE);
        let record = LineRecord {
            trace_id: trace.id,
            span_id: span.id,
            parent: span.parent,
            begin_ns: trace.origin_ns.saturating_add(span.interval.begin_ns),
            end_ns: trace.origin_ns.saturating_add(span.interval.end_ns),
            sender: self.senders.number(span.source, names, self.nodes, self.made),
            interface: name(labels.map(|labels| labels.interface)),
            peer: name(labels.filter(|_| is_call).map(|labels| labels.dm)),
            rpc_type: name(labels.map(|labels| labels.rpc_type)),
            service: name(labels.map(|labels| labels.service)),
            of: span.call.map_or(Kind::Other, |call| call.kind),
            kind: span.kind,
            rpc_id: span.rpc_id,
        };
        record.encode(self.record);
        let operation = record.operation(names);
        let peer = record.peer(names, &operation).filter(|_| is_call);
        let span_id = |id: u64| SpanId(id.to_be_bytes());
        self.made.push(&MadeRow {
            kind: span.kind,
            span_id: span_id(span.id),
            parent_span_id: span.parent.map(span_id),
            start: record.begin_ns,
            end: record.end_ns,
            sender: record.sender,
            is_truncated: record.is_truncated(names)
                || [module, instance].iter().any(|&name| names.is_damaged(name)),
            method: operation.method,
            path: operation.route.or(operation.path),
            peer,
            record: self.record,
        });
    }
}
